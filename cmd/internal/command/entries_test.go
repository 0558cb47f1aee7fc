package command

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/huddle-cache/huddle/cmd/internal/api"
)

// With --json each command says on standard output what failed, so that scripts need not read sentences.
func TestFailuresInJSON(t *testing.T) {
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGatewayTimeout)
		_ = json.NewEncoder(w).Encode(api.Error{Code: api.CodeUnconfirmed, Text: "not confirmed"})
	}))
	defer ts.Close()
	run := func(admin, args string) (code int, f failure) {
		t.Helper()
		var out bytes.Buffer
		code = Main(append(strings.Fields(args), "--json", "--admin", admin), strings.NewReader(""), &out, io.Discard)
		if err := json.Unmarshal(out.Bytes(), &struct {
			*api.Error
			Key *string `json:"key"`
		}{Error: &f.Error}); err != nil {
			t.Errorf("%s: %v in %q", args, err, out.String())
		}
		return code, f
	}
	for _, args := range []string{
		"get k", "set k v", "del k", "del k l", "touch k 1m", "clear --yes", "invalidate t", "revoke-user 7",
		"status", "members", "ring", "ring k", "top", "forget n1 --yes",
	} {
		if code, f := run(ts.Listener.Addr().String(), args); code != exitFailure || f.Code != api.CodeUnconfirmed || !strings.Contains(f.Text, "not confirmed") {
			t.Errorf("%s: code %d, %+v", args, code, f.Error)
		}
		if code, f := run("127.0.0.1:1", args); code != exitFailure || f.Code != codeNoAnswer || !strings.Contains(f.Text, "no node answers") {
			t.Errorf("%s, and no node: code %d, %+v", args, code, f.Error)
		}
	}
	for _, args := range []string{
		"clear", "forget n1", "touch k 876001h", "top --every 1ms",
		"get", "get k l", "touch k 5", "touch k -5s", "set k v --ttl 5", "status --nothing", "ring --view 3",
	} {
		if code, f := run("127.0.0.1:1", args); code != exitUsage || f.Code != api.CodeInvalid || f.Text == "" {
			t.Errorf("%s: code %d, %+v", args, code, f.Error)
		}
	}
}

// It may be in the environment that JSON is asked for, and what begins after -- is no flag.
func TestMistakesInJSONOnlyWhereAsked(t *testing.T) {
	for _, c := range []struct {
		json, args string
		want       bool
	}{{"1", "get", true}, {"Yes", "touch k 5", true}, {"0", "get", false}, {"", "get k -- --json", false}, {"1", "serve --nothing", false}, {"1", "nothing", false}} {
		t.Setenv("HUDDLE_JSON", c.json)
		if c.json == "" {
			_ = os.Unsetenv("HUDDLE_JSON")
		}
		var out bytes.Buffer
		if code := Main(strings.Fields(c.args), strings.NewReader(""), &out, io.Discard); code != exitUsage || json.Valid(out.Bytes()) != c.want {
			t.Errorf("HUDDLE_JSON=%s %s: code %d, %q", c.json, c.args, code, out.String())
		}
	}
}

// A key that is no UTF-8 is not taken for another, a tag may have commas, and a value is read to the largest there can be and no further.
func TestArgumentsAreTakenAsTheyStand(t *testing.T) {
	var path string
	var tags []string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, tags = r.URL.Path, r.URL.Query()["tag"]
		_, _ = io.WriteString(w, `{"ok":true,"existed":true}`)
	}))
	defer ts.Close()
	run := func(in io.Reader, args ...string) (int, string) {
		var out bytes.Buffer
		code := Main(append(args, "--admin", ts.Listener.Addr().String()), in, &out, &out)
		return code, out.String()
	}
	if code, text := run(nil, "set", "\xff", "v", "--tag", "a,b", "--tag", `c\,d`, "--tag", " "); code != exitOK ||
		path != "/api/v1/entries/\xff" || !slices.Equal(tags, []string{"a,b", `c\,d`, " "}) {
		t.Errorf("code %d, %s: %q with the tags %q", code, text, path, tags)
	}
	if code, text := run(nil, "invalidate", "a,b"); code != exitOK || !slices.Equal(tags, []string{"a,b"}) {
		t.Errorf("code %d, %s: the tags %q", code, text, tags)
	}
	if code, text := run(nil, "get", "\xff", "--json"); code != exitOK || !strings.Contains(text, `"key_base64": "/w=="`) {
		t.Errorf("code %d, %s", code, text)
	}
	var endless endlessZeros
	if code, text := run(&endless, "set", "k", "-"); code != exitUsage || !strings.Contains(text, "over 16MB") || endless > maxValue+1 {
		t.Errorf("code %d, %s; %d bytes are read", code, text, endless)
	}
}

// endlessZeros counts what is read of it.
type endlessZeros int

func (n *endlessZeros) Read(p []byte) (int, error) {
	if *n > 64<<20 {
		return 0, io.EOF // so that who reads all fails, and does not run out of memory
	}
	clear(p)
	*n += endlessZeros(len(p))
	return len(p), nil
}

// That nothing can be printed is told once, with --json too.
func TestAFullDiskIsToldOfOnce(t *testing.T) {
	admin := answering(t, `{"name":"a"}`)
	for _, args := range [][]string{{"status"}, {"status", "--json"}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skipf("NOT TESTED: what a full disk does, for this system has no /dev/full: %v", err)
		}
		defer full.Close()
		var errOut bytes.Buffer
		code := Main(append(args, "--admin", admin), strings.NewReader(""), full, &errOut)
		if code != exitFailure || strings.Count(errOut.String(), "\n") != 1 {
			t.Errorf("%q: code %d, %q", args, code, errOut.String())
		}
	}
}

// Whoever has no tag is not found: the answer promises no more than that.
func TestRevokeUserSpeaksOfTagsAlone(t *testing.T) {
	var out bytes.Buffer
	if code := Main([]string{"revoke-user", "7", "--admin", answering(t, `{"ok":true}`)}, strings.NewReader(""), &out, &out); code != exitOK || !strings.Contains(out.String(), "tagged") {
		t.Errorf("code %d, %q", code, out.String())
	}
}
