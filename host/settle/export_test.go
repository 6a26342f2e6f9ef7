// SPDX-License-Identifier: Apache-2.0

package settle

// What tests outside need of the inside.
const (
	TimeoutBlocks = timeoutBlocks
	AsideBlocks   = asideBlocks
	Most          = most
	MaxMemo       = maxMemo
	MemoTag       = memoTag
)

var (
	Memo      = memo
	ParseMemo = parseMemo
)
