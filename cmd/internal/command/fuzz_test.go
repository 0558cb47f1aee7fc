package command

import (
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// FuzzServeFlags parses any flags of serve. They are taken or refused, never more.
func FuzzServeFlags(f *testing.F) {
	f.Add("--max-memory=1GB\x00--max-value\x003KB\x00--lease=5s")
	f.Add("--join=a:1,,dns:b:2\x00--join=srv:c\x00--expect=3\x00--delete=revoke")
	f.Add("--listen=:7400\x00--insecure\x00--hash-tokens")
	f.Add("--max-memory=1e400GB")
	f.Add("--max-memory=-0\x00--forget-after=-1ns")
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "file") || strings.Contains(line, "-h") { // reads files; prints help
			return
		}
		var serve serveCmd
		parser, err := kong.New(&serve, kong.Name("serve"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}), kong.Bind(&streams{}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(strings.Split(line, "\x00")); err != nil {
			return
		}
		cfg, err := serve.config(io.Discard)
		if err != nil {
			return
		}
		if cfg.Node.MaxBytes <= 0 || int64(cfg.Node.MaxValueBytes) > cfg.Node.MaxBytes || cfg.Node.Lease <= 0 || cfg.Node.Replicas < 1 {
			t.Errorf("taken: %+v", cfg.Node)
		}
	})
}

// FuzzSize reads any text as a number of bytes.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"256MB", "1.5 GiB", "0x10", "NaN", "inf", "1e309", "-1", "9223372036854775807", " 4k "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b byteSize
		if b.UnmarshalText([]byte(text)) == nil && b < 0 {
			t.Errorf("%q is %d", text, b)
		}
	})
}
