// SPDX-License-Identifier: Apache-2.0

// Package python holds the second implementation of the protocol, client/python/assay.py, against
// the published vectors, and the vectors against it.
//
// The Python file was written from docs/spec alone, so what it computes alike the pages say to the
// byte. It has to pass every vector, to judge every document in them as they say, and to fail on
// vectors in which a digit was changed. And each of a list of wrong implementations (wrong.py: a
// limit dropped, a shift off by one, a check left out) has to fail a vector: one that fails none is
// a hole in the vectors.
//
// Without python3 of version 3.10 the tests are skipped.
package python
