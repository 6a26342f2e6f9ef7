// SPDX-License-Identifier: Apache-2.0

package sprintv1

import "encoding/binary"

// StoreName is the store of x/sprint among those under the app hash.
const StoreName = "sprint"

// ArchivePrefix is where the archives begin in that store. It never changes: proofs of the state
// name it.
const ArchivePrefix = 13

// ArchiveKey is the key of an epoch's Archive in x/sprint's store.
func ArchiveKey(epoch uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{ArchivePrefix}, epoch)
}
