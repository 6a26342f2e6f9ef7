// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
)

func testCodec() codec.Codec {
	registry := codectypes.NewInterfaceRegistry()
	cryptocodec.RegisterInterfaces(registry)
	return codec.NewProtoCodec(registry)
}

// make makes an account; read opens the keyring again and reads it.
func makeKey(t *testing.T, home, stdin string) error {
	t.Helper()
	ring, err := Open(home, keyring.BackendFile, strings.NewReader(stdin), testCodec())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = ring.NewMnemonic("hot", keyring.English, hd.CreateHDPath(118, 0, 0).String(),
		"", hd.Secp256k1)
	return err
}

func readKey(t *testing.T, home, stdin string) error {
	t.Helper()
	ring, err := Open(home, keyring.BackendFile, strings.NewReader(stdin), testCodec())
	if err != nil {
		t.Fatal(err)
	}
	_, err = ring.Key("hot")
	if !errors.Is(ring.Failure(), err) {
		t.Errorf("Failure is %v after %v", ring.Failure(), err)
	}
	return err
}

func passphraseFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// The file opens the keyring that it made, without a terminal and whatever stands on standard
// input.
func TestThePassphraseFile(t *testing.T) {
	home := t.TempDir()
	t.Setenv(Variable, passphraseFile(t, "correct horse\n", 0o600))
	if err := makeKey(t, home, ""); err != nil {
		t.Fatal(err)
	}
	if err := readKey(t, home, "something else\n"); err != nil {
		t.Fatal(err)
	}
	t.Setenv(Variable, "")
	if err := readKey(t, home, "correct horse\n"); err != nil {
		t.Errorf("a line on standard input: %v", err)
	}
	for name, c := range map[string]struct{ file, stdin, want string }{
		"another in the file": {passphraseFile(t, "wrong horse\n", 0o600), "", "is another"},
		"two lines": {passphraseFile(t, "correct horse\nand more\n", 0o600),
			"", "no single line"},
		"an empty file":        {passphraseFile(t, "\n", 0o600), "", "no single line"},
		"no file":              {filepath.Join(t.TempDir(), "none"), "", Variable},
		"another on the input": {"", "wrong horse\n", "is another"},
		"nothing at all":       {"", "", "set " + Variable},
	} {
		t.Setenv(Variable, c.file)
		if err := readKey(t, home, c.stdin); !errors.Is(err, ErrPassphrase) ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want it to name %q", name, err, c.want)
		}
	}
	if runtime.GOOS != "windows" {
		t.Setenv(Variable, passphraseFile(t, "correct horse\n", 0o640))
		if err := readKey(t, home, ""); !errors.Is(err, ErrPassphrase) ||
			!strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("a file that others may read: %v", err)
		}
	}
}

// What is refused for a new keyring leaves none behind.
func TestANewPassphrase(t *testing.T) {
	for name, c := range map[string]struct{ stdin, want string }{
		"short":     {"horse\n", "at least 8"},
		"different": {"correct horse\nwrong horse\n", "differ"},
		"none":      {"", "set " + Variable},
	} {
		home := t.TempDir()
		if err := makeKey(t, home, c.stdin); !errors.Is(err, ErrPassphrase) ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want it to name %q", name, err, c.want)
		}
		if own := Backend(home); own != "" {
			t.Errorf("%s: a %s keyring stayed behind", name, own)
		}
	}
	for _, stdin := range []string{"correct horse\n", "correct horse\ncorrect horse\n"} {
		if err := makeKey(t, t.TempDir(), stdin); err != nil {
			t.Errorf("%q: %v", stdin, err)
		}
	}
}

// A person is asked on the terminal, twice for a new passphrase, and may mistype it.
func TestAPersonIsAsked(t *testing.T) {
	home := t.TempDir()
	person := func(types ...string) *Ring {
		master, terminal, err := pty.Open()
		if err != nil {
			t.Skipf("no pseudo-terminal: %v", err)
		}
		t.Cleanup(func() { master.Close(); terminal.Close() })
		ring, err := Open(home, keyring.BackendFile, terminal, testCodec())
		if err != nil {
			t.Fatal(err)
		}
		prompts := make(chan string)
		ring.lock.asked = prompted(prompts)
		go func() {
			for p := range prompts {
				if strings.HasSuffix(p, ": ") && len(types) > 0 {
					_, _ = master.WriteString(types[0] + "\n")
					types = types[1:]
				}
			}
		}()
		t.Cleanup(func() { close(prompts) })
		return ring
	}
	ring := person("correct horse", "wrong horse", "correct horse", "correct horse")
	if _, _, err := ring.NewMnemonic("hot", keyring.English, hd.CreateHDPath(118, 0, 0).String(),
		"", hd.Secp256k1); err != nil {
		t.Fatal(err)
	}
	if _, err := person("wrong horse", "correct horse").Key("hot"); err != nil {
		t.Error(err)
	}
	if _, err := person("a", "b", "c").Key("hot"); !errors.Is(err, ErrPassphrase) {
		t.Error(err)
	}
}

type prompted chan<- string

func (p prompted) Write(text []byte) (int, error) {
	p <- string(text)
	return len(text), nil
}

// A home has one backend: that of host.toml, or of its keyring's folder.
func TestAHomeKeepsItsBackend(t *testing.T) {
	home := t.TempDir()
	choose := func(wish, want string) {
		t.Helper()
		got, err := Choose(home, wish)
		if got != want || (err == nil) != (want != "") || err != nil &&
			!errors.Is(err, ErrBackend) {
			t.Errorf("Choose(%q) = %q, %v; want %q", wish, got, err, want)
		}
	}
	choose("", "file")
	choose("test", "test")
	t.Setenv(Variable, passphraseFile(t, "correct horse", 0o600))
	if err := makeKey(t, home, ""); err != nil {
		t.Fatal(err)
	}
	choose("", "file")
	choose("file", "file")
	choose("test", "")
	if err := os.MkdirAll(filepath.Join(home, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "config", "host.toml"),
		[]byte("keyring_backend = \"os\"\n[pool]\nenabled = false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	choose("", "os")
	choose("file", "")
	if _, err := Open(home, "pass", nil, testCodec()); !errors.Is(err, ErrBackend) {
		t.Errorf("a backend that does not exist: %v", err)
	}
}
