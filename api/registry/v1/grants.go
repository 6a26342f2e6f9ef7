// SPDX-License-Identifier: Apache-2.0

package registryv1

// HotAllowance is how much of its operator's balance a participant's hot key may
// spend on fees before the operator grants it more, in CPC. A genesis and a
// registration grant the same.
const HotAllowance = 10
