package command

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A script can tell the outcomes of a get apart, by the exit code and in JSON, and an empty value from none.
func TestOutcomesOfGet(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for about, c := range map[string]struct {
		status int
		answer string
		code   int
		out    string // with --json, without its white space
	}{
		"a value":    {http.StatusOK, "blue", exitOK, `{"key":"k","value":"blue","version":"7"}`},
		"empty":      {http.StatusOK, "", exitOK, `{"key":"k","value":"","version":"7"}`},
		"no text":    {http.StatusOK, "\xff", exitOK, `{"key":"k","value":null,"value_base64":"/w==","version":"7"}`},
		"absent":     {http.StatusNotFound, `{"code":"absent","error":"none"}`, exitAbsent, `{"key":"k","code":"absent","error":"none"}`},
		"unsure":     {http.StatusServiceUnavailable, `{"code":"unsure","error":"later"}`, exitUnsure, `{"key":"k","code":"unsure","error":"later"}`},
		"refused":    {http.StatusForbidden, `{"code":"forbidden","error":"no"}`, exitFailure, `{"key":"k","code":"forbidden","error":"no"}`},
		"not a node": {http.StatusNotFound, "page not found", exitFailure, `{"key":"k","code":"no_answer",`},
		"nobody":     {0, "", exitFailure, `{"key":"k","code":"no_answer",`},
	} {
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Huddle-Version", "7")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.answer))
		}))
		admin := ts.Listener.Addr().String()
		if c.status == 0 {
			admin = nobody
		}
		var plain, inJSON, errOut bytes.Buffer
		if code := Main([]string{"get", "k", "--admin", admin}, strings.NewReader(""), &plain, &errOut); code != c.code || (code == exitOK) != (errOut.Len() == 0) ||
			code == exitOK && plain.String() != c.answer || code != exitOK && plain.Len() > 0 {
			t.Errorf("%s: code %d, %q, %q", about, code, plain.String(), errOut.String())
		}
		code := Main([]string{"get", "k", "--json", "--admin", admin}, strings.NewReader(""), &inJSON, &errOut)
		if out := strings.Join(strings.Fields(strings.ReplaceAll(inJSON.String(), "\": ", "\":")), ""); code != c.code || !strings.HasPrefix(out, c.out) {
			t.Errorf("%s with --json: code %d, %s, want %s", about, code, out, c.out)
		}
		ts.Close()
	}
}
