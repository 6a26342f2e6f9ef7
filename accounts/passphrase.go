// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/term"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/plain"
)

// Variable names the file with the passphrase.
const Variable = "ASSAY_KEYRING_PASSPHRASE_FILE"

const (
	// shortest is the length of a new passphrase, in bytes.
	shortest = 8
	// tries are how often a person is asked.
	tries = 3
	// hashName holds the passphrase's hash, by which a wrong one is told before it makes an account
	// that the others' passphrase does not open.
	hashName = "keyhash"
)

// lock finds the passphrase of a keyring in files.
type lock struct {
	home, dir string
	lines     *bufio.Reader
	terminal  *os.File // nil without one
	asked     io.Writer
	pass      string // once it is known to open
	failure   error
}

func newLock(home, dir string, stdin io.Reader) *lock {
	l := &lock{home: home, dir: dir, asked: os.Stderr}
	if stdin != nil {
		l.lines = bufio.NewReader(stdin)
	}
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		l.terminal = f
	}
	return l
}

// open is called when the first account is read or made.
func (l *lock) open(string) (string, error) {
	if l.pass == "" {
		l.pass, l.failure = l.find()
	}
	return l.pass, l.failure
}

func (l *lock) find() (string, error) {
	hash, err := os.ReadFile(filepath.Join(l.dir, hashName))
	if err != nil && !missing(err) {
		return "", err
	}
	pass := ""
	switch path := os.Getenv(Variable); {
	case path != "":
		if pass, err = fromFile(path); err == nil && hash != nil && !opens(hash, pass) {
			err = fmt.Errorf("%w of %s: the one in %s (%s) is another%s", ErrPassphrase, l.home,
				path, Variable, l.unless())
		}
	case l.terminal != nil:
		pass, err = l.ask(hash)
	default:
		pass, err = l.line(hash)
	}
	if err == nil && hash == nil {
		err = l.keep(pass)
	}
	if err != nil {
		return "", err
	}
	return pass, nil
}

// unless is what else a passphrase that seems wrong may mean.
func (l *lock) unless() string {
	return fmt.Sprintf("; if you are sure of it, %s is damaged: put it back from a backup, or "+
		"move it away, and it is written again", filepath.Join(l.dir, hashName))
}

func opens(hash []byte, pass string) bool {
	return bcrypt.CompareHashAndPassword(hash, []byte(pass)) == nil
}

// keep remembers a new passphrase's hash.
func (l *lock) keep(pass string) error {
	if len(pass) < shortest {
		return fmt.Errorf("%w of %s: a new one has at least %d characters, this one %d",
			ErrPassphrase, l.home, shortest, len(pass))
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(pass), bcrypt.DefaultCost)
	if err != nil {
		return fmt.Errorf("%w of %s: %w", ErrPassphrase, l.home, err)
	}
	if err := durable.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(l.dir, hashName), hash, 0o600)
}

// fromFile reads a file of one line, which nobody but its owner may read.
func fromFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrPassphrase, Variable, err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%w: %s (%s) has mode %04o, so that others may read it: chmod 600 %s",
			ErrPassphrase, path, Variable, info.Mode().Perm(), path)
	}
	text, err := plain.Read(path)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrPassphrase, Variable, err)
	}
	pass := strings.TrimRight(string(text), "\r\n")
	if pass == "" || strings.ContainsAny(pass, "\r\n") {
		return "", fmt.Errorf("%w: %s (%s) holds no single line: write the passphrase there and "+
			"nothing else", ErrPassphrase, path, Variable)
	}
	return pass, nil
}

// ask asks a person, twice for a new passphrase.
func (l *lock) ask(hash []byte) (string, error) {
	for range tries {
		pass, err := l.hidden("Passphrase of the keyring in " + l.home + ": ")
		if err != nil {
			return "", err
		}
		switch {
		case hash != nil && opens(hash, pass):
			return pass, nil
		case hash != nil:
			fmt.Fprintln(l.asked, "That is another one.")
		case len(pass) < shortest:
			fmt.Fprintf(l.asked, "A new one has at least %d characters.\n", shortest)
		default:
			again, err := l.hidden("The same once more, it is new: ")
			if err != nil {
				return "", err
			}
			if pass == again {
				return pass, nil
			}
			fmt.Fprintln(l.asked, "These two differ.")
		}
	}
	return "", fmt.Errorf("%w of %s: not given in %d tries%s", ErrPassphrase,
		l.home, tries, l.unless())
}

func (l *lock) hidden(prompt string) (string, error) {
	fmt.Fprint(l.asked, prompt)
	text, err := term.ReadPassword(int(l.terminal.Fd()))
	fmt.Fprintln(l.asked)
	if err != nil {
		return "", fmt.Errorf("%w of %s: %w", ErrPassphrase, l.home, err)
	}
	return string(text), nil
}

// line reads what a script pipes in: a line, and for a new passphrase the same line again, if there
// is another.
func (l *lock) line(hash []byte) (string, error) {
	pass := l.next()
	switch {
	case pass == "":
		return "", fmt.Errorf("%w of %s: there is no terminal to ask for it; write it into a "+
			"file of mode 0600 and set %s to that file's path", ErrPassphrase, l.home, Variable)
	case hash != nil && !opens(hash, pass):
		return "", fmt.Errorf("%w of %s: the line on standard input is another%s", ErrPassphrase,
			l.home, l.unless())
	case hash == nil:
		if again := l.next(); again != "" && again != pass {
			return "", fmt.Errorf("%w of %s: the two lines on standard input differ",
				ErrPassphrase, l.home)
		}
	}
	return pass, nil
}

func (l *lock) next() string {
	if l.lines == nil {
		return ""
	}
	text, _ := l.lines.ReadString('\n') // an error comes with what was read, or nothing
	return strings.TrimRight(text, "\r\n")
}
