package app

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/node/nodetest"
)

// A file of passwords is like one of keys: several lines, comments, and errors that repeat nothing of it.
func TestParseSecrets(t *testing.T) {
	for text, want := range map[string][]string{
		"one":                                 {"one"},
		"one\n":                               {"one"},
		"correct horse\r\n":                   {"correct horse"},
		"# of the shop\n\n  one \n\tthe #2\n": {"one", "the #2"},
	} {
		if got, err := parseSecrets([]byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                                     "it is empty: write one",
		" \r\n\t\n":                            "it is empty: write one",
		"#s3cret\n":                            "must not begin with #",
		"s3cret\n\ns3cret":                     "line 3 is there for the second time",
		"s3cret\n" + strings.Repeat("x", 4097): "line 2 is longer than 4096 bytes",
		"s3cret\n1\n2\n3\n4\n5\n6\n7\n8":       "there are more than 8 lines",
		"s3cret\n" + strings.Repeat("\n", 16<<10): "larger than 16384 bytes",
	} {
		if got, err := parseSecrets([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%.20q: %q, %v", text, got, err)
		}
	}
}

// Of several passwords commands take the first.
func TestTheFirstSecretIsUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for text, want := range map[string]string{"# ours\nnew\nold\n": "new", "": ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Secret("--admin-token-file", path)
		var usage *UsageError
		if got != want || (err != nil) != (want == "") || err != nil && (!errors.As(err, &usage) || !strings.HasPrefix(usage.Text, "--admin-token-file "+path+" is not usable: it is empty")) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if got, err := Secret("--admin-token-file", ""); got != "" || err != nil {
		t.Errorf("no file: %q, %v", got, err)
	}
	if _, err := Secret("--admin-token-file", path+"x"); err == nil || !strings.HasPrefix(err.Error(), "--admin-token-file: ") {
		t.Errorf("a missing file: %v", err)
	}
}

// Passwords and tokens change while clients are served: old and new are accepted while both are in the file, who is in stays, and a
// file that cannot be used changes nothing.
func TestPasswordsAndTokensChange(t *testing.T) {
	n, ctx := nodetest.Start(t, 1).Node(0), t.Context()
	dir := t.TempDir()
	var log bytes.Buffer
	cfg := Config{
		RESP: "127.0.0.1:0", Admin: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Files: Files{Passwords: filepath.Join(dir, "password"), Tokens: filepath.Join(dir, "token")},
	}
	write := func(passwords, tokens string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(cfg.Files.Passwords, []byte(passwords), 0o600), os.WriteFile(cfg.Files.Tokens, []byte(tokens), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("first-of-redis\n", "first-of-admin\n")
	files, err := cfg.Files.load()
	if err != nil {
		t.Fatal(err)
	}
	w := newWatcher(cfg, files)
	quiet := cfg
	quiet.Logger = slog.New(slog.DiscardHandler) // the log is read while the fronts run
	f, err := openFronts(quiet, n, w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.close() })
	client := func(password string) *redis.Client {
		cl := redis.NewClient(&redis.Options{Addr: f.respAddr(), Password: password, MaxRetries: -1, PoolSize: 1})
		t.Cleanup(func() { _ = cl.Close() })
		return cl
	}
	in := client("first-of-redis")
	if err := in.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	// may tells whether a new client with that password, or a request with that token, is let in.
	may := func(who string, want bool) {
		t.Helper()
		if err := client(who + "-of-redis").Ping(ctx).Err(); (err == nil) != want {
			t.Errorf("the password %s: %v", who, err)
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.adminURL()+"api/v1/entries", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+who+"-of-admin")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if (answer.StatusCode == http.StatusOK) != want {
			t.Errorf("the token %s: %s", who, answer.Status)
		}
	}
	look := func(logged string) {
		t.Helper()
		log.Reset()
		if w.look(n, true) {
			t.Error("what has changed is taken at the first look")
		}
		if !w.look(n, true) || !strings.Contains(log.String(), logged) || strings.Contains(log.String(), "-of-") {
			t.Errorf("logged is %s, want %s", log.String(), logged)
		}
	}
	may("first", true)
	may("second", false)

	write("first-of-redis\nsecond-of-redis\n", "# soon\nsecond-of-admin\nfirst-of-admin\n")
	look(`msg="secrets have been read again and are in use" resp_passwords=2 admin_tokens=2`)
	may("first", true)
	may("second", true)
	may("third", false)

	for _, bad := range []string{"", "\n", "# none\n", "x\nx\n"} {
		write(bad, "third-of-admin")
		look("--resp-password-file " + cfg.Files.Passwords + " is not usable: ")
		write("third-of-redis", bad)
		look("--admin-token-file " + cfg.Files.Tokens + " is not usable: ")
	}
	if err := os.Remove(cfg.Files.Tokens); err != nil {
		t.Fatal(err)
	}
	look("those from before stay in use")
	may("first", true)
	may("second", true)
	may("third", false)

	write("second-of-redis\n", "second-of-admin")
	look("resp_passwords=1 admin_tokens=1")
	may("first", false)
	may("second", true)
	if err := in.Ping(ctx).Err(); err != nil {
		t.Errorf("who was in: %v", err)
	}
	log.Reset()
	if !w.look(n, true) || !strings.Contains(log.String(), "nothing has changed") {
		t.Errorf("logged is %s", log.String())
	}
}

// A node that asks for a password has one from its first moment, and says how many.
func TestTheStartCountsPasswords(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "password")
	if err := os.WriteFile(path, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cfg := Config{Files: Files{Passwords: path}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	files, err := cfg.Files.load()
	if err != nil {
		t.Fatal(err)
	}
	w := newWatcher(cfg, files)
	if w.begin(); !strings.HasSuffix(log.String(), "msg=\"passwords and tokens have been read\" resp_passwords=2\n") {
		t.Errorf("logged is %q", log.String())
	}
	check := w.checkPassword()
	if !check([]byte("one")) || !check([]byte("two")) || check([]byte("")) || check([]byte("one\ntwo")) {
		t.Error("not what is in the file is accepted")
	}
	if w.checkToken() != nil {
		t.Error("a token is asked of which there is none")
	}
}
