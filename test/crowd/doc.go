// SPDX-License-Identifier: Apache-2.0

// Package crowd holds a host against many machines at once.
package crowd
