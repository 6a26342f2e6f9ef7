// SPDX-License-Identifier: Apache-2.0

// Package runner is one device at work: a goroutine that owns its engine.
//
// A [Runner] takes slices of about a tenth of a second from its [Desk], computes
// them and hands them in; between slices it looks at what is wanted. It builds the
// models that are needed, one at a time, and keeps the latest two. One unit in 256
// is computed twice before its slice is handed in: a device that gives two results
// rests, longer each time, and one that goes on like that is of no use any longer. So
// is one whose engine does not reproduce published answers after a model was built.
// One that is too hot, or whose temperature cannot be read any longer, pauses.
//
// What is to be done, and for whom, the desk alone knows. Locks: a Runner takes its
// own for what others look at, and calls the desk without it; so the desk may call
// State and Wake with its own lock held.
package runner
