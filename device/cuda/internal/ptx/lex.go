// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"fmt"
	"strings"
)

// token is a piece of source. kind is 'w' for a word (an opcode with all its
// modifiers is one), 'n' for a number, 's' for a string, 0 for the end, and the
// character itself for punctuation.
type token struct {
	kind byte
	text string
	line int
}

func wordStart(c byte) bool {
	return c == '.' || c == '_' || c == '$' || c == '%' || c >= 'a' && c <= 'z' ||
		c >= 'A' && c <= 'Z'
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// lex splits source. A colon belongs to a word only where it is doubled, as in
// .shared::cta, so that labels still end in one.
func lex(source string) ([]token, error) {
	var tokens []token
	line := 1
	for i := 0; i < len(source); {
		c := source[i]
		start := i
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(source[i:], "//"):
			for i < len(source) && source[i] != '\n' {
				i++
			}
		case strings.HasPrefix(source[i:], "/*"):
			n := strings.Index(source[i+2:], "*/")
			if n < 0 {
				return nil, fmt.Errorf("%w: line %d: a comment does not end", ErrSyntax, line)
			}
			line += strings.Count(source[i:i+2+n], "\n")
			i += n + 4
		case wordStart(c):
			for i < len(source) {
				if wordStart(source[i]) || digit(source[i]) {
					i++
				} else if strings.HasPrefix(source[i:], "::") {
					i += 2
				} else {
					break
				}
			}
			tokens = append(tokens, token{'w', source[start:i], line})
		case digit(c):
			for i < len(source) && (digit(source[i]) || wordStart(source[i]) && source[i] != '.' &&
				source[i] != '$' && source[i] != '%') {
				i++
			}
			tokens = append(tokens, token{'n', source[start:i], line})
		case c == '"':
			n := strings.IndexAny(source[i+1:], "\"\n")
			if n < 0 || source[i+1+n] != '"' {
				return nil, fmt.Errorf("%w: line %d: a string does not end", ErrSyntax, line)
			}
			i += n + 2
			tokens = append(tokens, token{'s', source[start+1 : i-1], line})
		case strings.IndexByte(",;[]{}()<>=+-!|@:", c) >= 0:
			i++
			tokens = append(tokens, token{c, source[start:i], line})
		default:
			return nil, fmt.Errorf("%w: line %d: character %q", ErrSyntax, line, c)
		}
	}
	return append(tokens, token{0, "", line}), nil
}
