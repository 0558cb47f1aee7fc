package command

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// refusedWith runs a command that must be taken for a mistake, and looks for what it is told.
func refusedWith(t *testing.T, want string, args ...string) {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := Main(args, strings.NewReader(""), &out, &errOut); code != exitUsage || !strings.Contains(errOut.String(), want) {
		t.Errorf("%q: code %d, %q, want %q", args, code, errOut.String(), want)
	}
}

// Mistakes are told by the names of the flags, and with the numbers that were given.
func TestServeNamesItsFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"--max-value 300MB":                   {"--max-value", "300MB"},
		"which is 1MB":                        {"--max-value", "2MB", "--max-memory", "4MB"},
		"--max-memory of 1000 bytes":          {"--max-memory", "1000", "--max-value", "10"},
		"--repair-rate of 1024 bytes":         {"--repair-rate", "1KB"},
		"--forget-after 1ms is not usable":    {"--forget-after", "1ms"},
		"--forget-after 14s is not usable":    {"--forget-after", "14s", "--lease", "5s"},
		`--name " " is blank`:                 {"--name", " "},
		`--join "foo": no host and port`:      {"--join", "foo"},
		"is the --listen of this node as":     {"--resp", "127.0.0.1:7400"},
		"is the --resp of this node as":       {"--admin", "127.0.0.1:7379"},
		"--lease 1ms is not usable":           {"--lease", "1ms"},
		"--lease 2m0s is not usable":          {"--lease", "2m"},
		"--replicas 17":                       {"--replicas", "17"},
		"--name is longer":                    {"--name", strings.Repeat("x", 201)},
		`--listen "" is not usable`:           {"--listen", ""},
		"--name and --cluster must":           {"--name", "a\nb"},
		"--cluster must have no control":      {"--cluster", "a\x1bb"},
		"--cluster is longer than 255 bytes,": {"--cluster", strings.Repeat("x", 256)},
	} {
		refusedWith(t, want, append([]string{"serve"}, args...)...)
	}
}

// The default of --max-value is for any memory, and the log says what it is then. Whoever gives it is told.
func TestTheDefaultValueFitsSmallMemory(t *testing.T) {
	var log bytes.Buffer
	c := serveCmd{Listen: "127.0.0.1:0", MaxMemory: 2 << 20, Replicas: 2, Lease: 1e9, LogFormat: "text", LogLevel: "info"}
	cfg, err := c.config(&log)
	if err != nil || cfg.Node.MaxValueBytes != 1<<19 || !strings.Contains(log.String(), "max_value=512KB") {
		t.Errorf("%d, %v, %s", cfg.Node.MaxValueBytes, err, log.String())
	}
	log.Reset()
	c.MaxMemory = 256 << 20
	if cfg, err := c.config(&log); err != nil || cfg.Node.MaxValueBytes != defaultMaxValue || log.Len() > 0 {
		t.Errorf("%d, %v, %s", cfg.Node.MaxValueBytes, err, log.String())
	}
	log.Reset()
	c.MaxMemory = 1 << 10
	if _, err := c.config(&log); err == nil || log.Len() > 0 {
		t.Errorf("%v, and the log says %s", err, log.String())
	}
	refusedWith(t, "--max-value 1MB is not usable: at most 16MB, and a quarter of --max-memory, which is 512KB", "serve", "--max-value", "1MB", "--max-memory", "2MB")
}

// DEL is final for the keys that --revoke-prefix names, and for all if it names none.
func TestWhatDELRevokes(t *testing.T) {
	for _, tc := range []struct {
		how, prefixes string
		want          []string
	}{
		{"remove", "", nil},
		{"revoke", "", []string{""}},
		{"revoke", " , ", []string{""}},
		{"revoke", "sess:, cart:", []string{"sess:", "cart:"}},
	} {
		c := serveCmd{
			Listen: "127.0.0.1:0", MaxMemory: 2 << 20, Replicas: 2, Lease: 1e9, LogFormat: "text", LogLevel: "error",
			Delete: tc.how, RevokePrefix: strings.Split(tc.prefixes, ","),
		}
		if cfg, err := c.config(io.Discard); err != nil || !slices.Equal(cfg.Revoke, tc.want) {
			t.Errorf("%q: %q, %v", tc, cfg.Revoke, err)
		}
	}
}

// An empty argument is a mistake, and no request.
func TestEmptyArgumentsAreRefused(t *testing.T) {
	ts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was made") }))
	defer ts.Close()
	admin := ts.Listener.Addr().String()
	for _, args := range [][]string{
		{"get", ""}, {"set", "", "v"}, {"del", ""}, {"del", "k", ""}, {"touch", "", "1m"}, {"revoke-user", ""}, {"invalidate", ""}, {"invalidate", "a", ""}, {"forget", ""}, {"ring", ""},
	} {
		refusedWith(t, "empty", append(args, "--admin", admin)...)
	}
}

// answering is the address of a node that gives one answer to everything.
func answering(t *testing.T, answer string) string {
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
	t.Cleanup(ts.Close)
	return ts.Listener.Addr().String()
}

func TestStatusSaysThatANodeLeaves(t *testing.T) {
	var out bytes.Buffer
	admin := answering(t, `{"name":"a","cluster":"shop","view":5,"members":2,"leaving":true}`)
	if code := Main([]string{"status", "--admin", admin}, strings.NewReader(""), &out, &out); code != exitOK ||
		!strings.Contains(out.String(), "leaving: handing over") || strings.Contains(out.String(), "majority") {
		t.Errorf("code %d\n%s", code, out.String())
	}
}

// Full is a node at seven eighths of its memory: the rest is for tombstones.
func TestStatusSaysWhatWasEvicted(t *testing.T) {
	var out bytes.Buffer
	admin := answering(t, `{"name":"a","cluster":"shop","view":5,"members":1,"bytes":1835008,"max_bytes":2097152,"evictions":6351}`)
	if code := Main([]string{"status", "--admin", admin}, strings.NewReader(""), &out, &out); code != exitOK ||
		!strings.Contains(out.String(), "1.8 MiB of 2.0 MiB, an eighth for tombstones; 6,351 evicted for room") {
		t.Errorf("code %d\n%s", code, out.String())
	}
}

func TestStatusSaysWhyANodeIsOutside(t *testing.T) {
	var out bytes.Buffer
	admin := answering(t, `{"name":"a","cluster":"shop","waiting":"2 of the 3 nodes that are expected are there"}`)
	if code := Main([]string{"status", "--admin", admin}, strings.NewReader(""), &out, &out); code != exitOK ||
		!strings.Contains(out.String(), "in no cluster") || !strings.Contains(out.String(), "shop, not in it: 2 of the 3") ||
		strings.Contains(out.String(), "majority") || strings.Contains(out.String(), "view 0") ||
		!strings.Contains(out.String(), "in the cluster is not known just now; here 0") {
		t.Errorf("code %d\n%s", code, out.String())
	}
}

// A forget that is not enough says who else is silent.
func TestForgetSaysWhatCameOfIt(t *testing.T) {
	const silent, alive = `{"name":"b","state":"silent"},{"name":"c","state":"silent"}`, `{"name":"a","self":true,"state":"member"}`
	for _, c := range []struct{ about, answer, want string }{
		{"two of three are lost", `{"view":3,"members":%s}`, "b is no longer counted; still no majority: c is silent too; forget it as well, or start it again"},
		{"started over", `{"view":0,"members":%s}`, "start over, empty"},
		{"lost a moment ago", `{"view":3,"acting":true,"members":%s}`, "still no majority"},
	} {
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			members := "3"
			if r.URL.Path == "/api/v1/members" {
				members = "[" + alive + "," + silent + "]"
			}
			fmt.Fprintf(w, c.answer, members)
		}))
		var out bytes.Buffer
		code := Main([]string{"forget", "b", "--yes", "--admin", ts.Listener.Addr().String()}, strings.NewReader(""), &out, &out)
		if code != exitOK || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: code %d, %s", c.about, code, out.String())
		}
		ts.Close()
	}
	if text := stillNone([]string{"c", "d"}); !strings.Contains(text, "c, d are silent too") {
		t.Error(text)
	}
}

func TestMistakesAreExplained(t *testing.T) {
	for want, args := range map[string]string{
		`--admin "off" is not usable: it must be host:port`: "status --admin off",
		`--admin "foo" is not usable: it must be host:port`: "get k --admin foo",
		`--admin "unix:/tmp/x" is not usable: it must be h`: "get k --admin unix:/tmp/x",
		"--max-memory -5MB is not usable: it must not be":   "serve --max-memory -5MB",
		"--callers -5 is not usable: it must not be":        "bench --callers -5",
		"--lease -5s is not usable: it must not be":         "serve --lease -5s",
		`perhaps try --name="-5"?`:                          "serve --name -5",
		`such as 127.0.0.1:7379`:                            "serve --resp foo",
		`--listen "127.0.0.1:99999" is not usable`:          "serve --listen 127.0.0.1:99999",
		"--ttl 2000000h0m0s is not usable: at most 876000h": "set k v --ttl 2000000h",
		"a time to live of 876001h0m0s is not usable":       "touch k 876001h",
		"--default-ttl 876001h0m0s is not usable":           "serve --default-ttl 876001h",
		"seconds are 30s":                                   "set k v --ttl 30",
		"-5... is no flag, and no number, size or time":     "touch k -5s",
		"unknown flag -l: flags are written out, with two":  "serve -listen 127.0.0.1:7400",
		"is no flag goes after --":                          "set k -x",
		"--value 20MB is not usable: at most 1MB":           "bench --value 20MB",
		"--nodes is for a cluster of its own":               "bench --nodes 3",
		"--replicas is for a cluster of its own":            "bench --replicas 2",
		"--via is for a cluster of its own":                 "bench --via node",
		"--replicas 5 is not usable: 1 to 3":                "bench --self-contained --replicas 5",
		"--resp is for a cluster that runs":                 "bench --self-contained --resp 127.0.0.1:7379",
		"--resp  is not usable":                             "bench --resp=",
		"--password-file is for a cluster that runs":        "bench --self-contained --password-file x",
		"--compare: this is no address of a Redis":          "bench --compare foo",
		"--callers 0 is not usable":                         "bench --callers 0",
	} {
		refusedWith(t, want, strings.Fields(args)...)
	}
}

// What is no node's admin interface is told from one that does not answer, and the words of the HTTP library are left out.
func TestWhatAnswersIsNoAdmin(t *testing.T) {
	for greeting, want := range map[string]string{
		"-ERR unknown command 'GET'\r\n":           "is no --admin of huddle",
		"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00": "is no --admin of huddle",
		"":      "ended the connection without an answer",
		"reset": "ended the connection without an answer", // as the port for peers does
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 1024)) // or the rest would reset the connection
				if greeting == "reset" {
					_ = c.(*net.TCPConn).SetLinger(0)
				} else {
					_, _ = c.Write([]byte(greeting))
				}
				_ = c.Close()
			}
		}()
		var out bytes.Buffer
		code := Main([]string{"status", "--admin", ln.Addr().String()}, strings.NewReader(""), &out, &out)
		if code != exitFailure || !strings.Contains(out.String(), want) || strings.Contains(out.String(), "malformed") {
			t.Errorf("%q: code %d, %s", greeting, code, out.String())
		}
		_ = ln.Close()
	}
}

// Errors hold no key: it is a token. Which of several it was is told by its place.
func TestErrorsHoldNoKey(t *testing.T) {
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "good") {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"code":"revoked","error":"was deleted"}`)
			return
		}
		fmt.Fprint(w, `{"ok":true,"existed":true}`)
	}))
	defer ts.Close()
	for args, want := range map[string]string{
		"get secret":           "huddle: was deleted\n",
		"set secret v":         "huddle: was deleted\n",
		"touch secret 1m":      "huddle: was deleted\n",
		"del secret":           "huddle: was deleted\n",
		"revoke-user secret":   "huddle: was deleted\n",
		"del good secret good": "huddle: the 2nd of 3: was deleted\n",
	} {
		var out, errOut bytes.Buffer
		if code := Main(append(strings.Fields(args), "--admin", ts.Listener.Addr().String()), strings.NewReader(""), &out, &errOut); code != exitFailure || errOut.String() != want {
			t.Errorf("%s: code %d, %q", args, code, errOut.String())
		}
	}
	for args, want := range map[string]string{
		"get k secret":     `an argument too many: the command is "huddle get <key>"`,
		"set k v secret":   `an argument too many: the command is "huddle set <key> <value>"`,
		"touch 30m secret": "<ttl> is no time: give one such as 30m or 90s, or 0 for no end",
		"touch k 5s3cret":  "<ttl> is no time",
	} {
		var out bytes.Buffer
		if code := Main(append(strings.Fields(args), "--json"), strings.NewReader(""), &out, &out); code != exitUsage || !strings.Contains(out.String(), "huddle: "+want) || strings.Contains(out.String(), "cret") {
			t.Errorf("%s: code %d, %q", args, code, out.String())
		}
	}
	for n, want := range map[int]string{1: "the 1st", 3: "the 3rd", 4: "the 4th", 12: "the 12th", 21: "the 21st", 113: "the 113th"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
}

// In no cluster there is no place for a key.
func TestRingWithoutACluster(t *testing.T) {
	var out, errOut bytes.Buffer
	admin := answering(t, `{"partition":3,"partitions":1021,"owner":"","copies":null,"shares":[]}`)
	if code := Main([]string{"ring", "k", "--admin", admin}, strings.NewReader(""), &out, &errOut); code != exitFailure || !strings.Contains(errOut.String(), "in no cluster") {
		t.Errorf("code %d: %s%s", code, out.String(), errOut.String())
	}
}

func TestHelpAndVersionAsOthersHaveThem(t *testing.T) {
	for args, want := range map[string]string{"help": "Usage: huddle", "help serve": "--max-memory", "--version": "huddle ", "": "Usage: huddle"} {
		var out, errOut bytes.Buffer
		if code := Main(strings.Fields(args), strings.NewReader(""), &out, &errOut); code != exitOK || !strings.Contains(out.String(), want) {
			t.Errorf("%q: code %d, %q%q", args, code, out.String(), errOut.String())
		}
	}
}
