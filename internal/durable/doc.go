// SPDX-License-Identifier: Apache-2.0

// Package durable is the one way in which Assay's programs write a file and lock a folder.
//
// A file that is rewritten in place is for a moment neither the old one nor the new one, and a
// crash or a full disk in that moment makes it so for good. [WriteFile] therefore writes a second
// file beside the first, waits until it is on disk, and renames it over the first. [Create] does
// the same and never replaces anything, which is how keys are made. Both return once a power cut
// can no longer undo them: the content needs a sync of the file, its name a sync of the folder.
//
// A log whose records carry checksums is opened with [Open], and written in place. Through [Inject]
// tests make any of these writes fail, and those of libraries that ask for [Fault].
//
// After an error the old content is in place, whole, and nothing else is left in the folder. Only
// if the sync of the folder itself fails can the new content be in place, also whole. A process
// that is killed can leave an unfinished file behind. Its name is one that [Unfinished] knows, and
// [Sweep] removes it.
//
// # Which failures are survived where
//
// A killed process: everywhere. A power cut: on file systems that keep the promises of fsync and
// rename, which journaling ones do. exFAT and FAT have no atomic rename on disk, so a power cut
// can damage them in other ways than this package prevents. Windows has no sync for folders; there
// the rename itself is told to wait for the disk. Some network and FUSE file systems refuse to sync
// a folder (EINVAL, ENOTSUP), and a folder may be writable and not readable. In these cases there
// is nothing to wait for: the write succeeds, and only the new name may be lost in a power cut.
//
// # Errors
//
// All are a [*fs.PathError] with the path that was asked for, and keep the system's cause:
// errors.Is finds syscall.ENOSPC, [fs.ErrPermission] or [fs.ErrExist]. [Lock] also returns [*Held].
package durable
