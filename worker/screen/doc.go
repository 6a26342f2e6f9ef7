// SPDX-License-Identifier: Apache-2.0

// Package screen shows a worker's status on a terminal: one line per device, the
// running challenge, what became of submissions, earnings, and, whenever
// something is not computing, why, until when and what to do.
//
// [Render] makes text of a status and is all there is to test without a
// terminal. [Run] shows it, again every second and on every change, and listens
// to a few keys: p pauses, r resumes, q quits.
//
// The width decides the form: below 100 columns a device takes two lines. Colour
// is for emphasis only, never the sole carrier of a meaning, and is left out
// where the terminal or NO_COLOR says so. A terminal that is no terminal gets
// log lines instead; that is the caller's choice, not this package's.
package screen
