// SPDX-License-Identifier: Apache-2.0

// Package accounts opens the keyring of a home: where its accounts are kept, and what opens it.
//
//	file  encrypted files below the home, opened by a passphrase; the default, since a node and a host run without
//	      a session of anybody's
//	os    the operating system's keyring; where it has none, encrypted files as above
//	test  files that nothing protects, for local networks
//
// A home keeps the backend it was made with: it is in host.toml, or shows in the keyring's folder.
// A passphrase comes from the file that ASSAY_KEYRING_PASSPHRASE_FILE names, else from the
// terminal, else from the first line of standard input. Anyone who may read that file may use the
// accounts: it is for the owner alone, mode 0600.
package accounts
