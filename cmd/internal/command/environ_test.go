package command

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// What would confirm a question, delete for good or stand for something else in each command is not taken from the environment; which node is
// spoken to is.
func TestVariablesOfCommands(t *testing.T) {
	for name, value := range map[string]string{
		"HUDDLE_YES": "1", "HUDDLE_REVOKE": "1", "HUDDLE_TTL": "1ns", "HUDDLE_TAG": "x", "HUDDLE_FOR": "1s", "HUDDLE_REPLICAS": "1", "HUDDLE_NODES": "1",
	} {
		t.Setenv(name, value)
	}
	var asked []string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, strings.TrimSuffix(r.Method+" "+r.URL.RequestURI(), "?"))
		fmt.Fprint(w, `{"ok":true}`)
	}))
	defer ts.Close()
	t.Setenv("HUDDLE_ADMIN", ts.Listener.Addr().String())
	refusedWith(t, "there is no terminal to ask on", "clear")
	refusedWith(t, "there is no terminal to ask on", "forget", "b")
	for _, args := range [][]string{{"del", "k"}, {"set", "k", "v"}} {
		var out bytes.Buffer
		if code := Main(args, strings.NewReader(""), &out, &out); code != exitOK {
			t.Errorf("%q: code %d, %s", args, code, out.String())
		}
	}
	if want := []string{"DELETE /api/v1/entries/k", "PUT /api/v1/entries/k"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	var c grammar
	parser, err := kong.New(&c, kong.DefaultEnvars("HUDDLE"), onlyShared(), kong.Bind(&streams{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"chaos"}); err != nil || c.Chaos.For != time.Minute || c.Chaos.Nodes != 3 || c.Chaos.Replicas != 2 {
		t.Errorf("chaos: %+v, %v", c.Chaos, err)
	}
	if _, err := parser.Parse([]string{"serve"}); err != nil || c.Serve.Replicas != 1 {
		t.Errorf("serve: %d copies, %v", c.Serve.Replicas, err)
	}
}

// What is mistyped is told from variables of flags that have one, and from those that Kubernetes sets.
func TestStrayVariables(t *testing.T) {
	var g grammar
	parser, err := kong.New(&g, kong.DefaultEnvars("HUDDLE"), onlyShared())
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"PATH=/bin", "HUDDLE_MAX_MEMROY=1GB", "HUDDLE_MAX_MEMORY=1GB", "HUDDLE_ADMIN_TOKEN_FILE=t", "HUDDLE_TLS_CERT=c", "HUDDLE_JSON=1", "HUDDLE_YES=1",
		"HUDDLE_LISTENS=secret", "HUDDLE_PORT=tcp://10.0.0.1:7379", "HUDDLE_PORT_7379_TCP_ADDR=10.0.0.1", "HUDDLE_SERVICE_HOST=10.0.0.1",
		"HUDDLE_SERVICE_PORT_REDIS=7379", "HUDDLE_PEERS_SERVICE_HOST=10.0.0.2", "HUDDLE_PEERS_PORT=tcp://10.0.0.2:7400", "HUDDLE_PEERS_PORT_7400_TCP=x",
	}
	if got := strayVariables(environ, parser.Model.Node); !slices.Equal(got, []string{"HUDDLE_LISTENS", "HUDDLE_MAX_MEMROY", "HUDDLE_YES"}) {
		t.Errorf("got %q", got)
	}
}
