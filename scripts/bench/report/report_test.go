package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// measured is what a short measurement leaves behind.
func measured(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	runs := func(via, workload string, perSecond float64) string {
		var all []string
		for _, callers := range []int{1, 64} {
			data, err := json.Marshal(map[string]any{
				"via": via, "workload": workload, "callers": callers, "per_second": perSecond * float64(callers),
				"all": map[string]any{"p50_ns": int64(1e9 / perSecond), "p99_ns": int64(3e9 / perSecond)},
			})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(data))
		}
		return strings.Join(all, ",")
	}
	table := func(perSecond float64) string {
		return fmt.Sprintf("\"test\",\"rps\",\"p50_latency_ms\",\"p99_latency_ms\"\n\"GET\",\"%g\",\"1\",\"2\"\n", perSecond)
	}
	head := `"date": "2026-01-02T03:04:05Z", "machine": {"cpu": "A <fast> one", "cpus": 2}, "replicas": 2, "keys": 1000, "zipf": 1.05, `
	for name, text := range map[string]string{
		"huddle-1.json": `{` + head + `"nodes": 3, "runs": [` + runs("remote", "read", 10000) + `,` + runs("redis", "read", 1) + `]}`,
		"huddle-2.json": `{` + head + `"nodes": 3, "runs": [` + runs("remote", "read", 9000) + `]}`,
		"peers-1.json":  `[` + runs("grpc-unary", "read", 4000) + `,` + runs("grpc-stream", "read", 9000) + `]`,
		"peers-2.json":  `[` + runs("grpc-unary", "read", 5000) + `,` + runs("grpc-stream", "read", 8000) + `]`,
		"nodes-3.json":  `{"nodes": 3, "runs": [` + runs("resp", "write", 100) + `]}`, "nodes-1.json": `{"nodes": 1, "runs": [` + runs("resp", "write", 300) + `]}`,
		"wire-huddle-get-16-1.csv": table(100.5), "wire-redis-get-16-1.csv": table(201),
		"wire-huddle-get-16-2.csv": table(300), "wire-redis-get-16-2.csv": table(200),
		"wire-huddle-get-16-3.csv": table(240), "wire-redis-get-16-3.csv": table(240),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReport(t *testing.T) {
	r, err := read(measured(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	r.Command, r.Stolen = "bench", 0.0314
	out := t.TempDir()
	if err := r.write(out); err != nil {
		t.Fatal(err)
	}
	md, err := os.ReadFile(filepath.Join(out, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| **huddle, from another node** | 100 µs | 300 µs | 640.0 k |", // of both numbers of callers
		"over gRPC unary: at least 2.5× | 2.00× | **no** |",
		"p50 over the bare stream: at most 1.15× | 0.90× | yes |",
		"GET, pipeline of 16, over Redis: at least 1× | 1.00× | yes |",
		"| GET, pipeline of 16 | 240 | 201 | 1.00 |", "measured 3 times, in turns",
		"3 nodes, 2 copies", "`bench`", "measured 2 times", "gave 3.1 % of",
	} {
		if !strings.Contains(string(md), want) {
			t.Errorf("%q is not in\n%s", want, md)
		}
	}
	if len(r.ByNodes) != 2 || r.ByNodes[0].Nodes != 1 {
		t.Errorf("by nodes: %+v", r.ByNodes)
	}
	plots, err := filepath.Glob(filepath.Join(out, "*.svg"))
	if err != nil || len(plots) != 5 {
		t.Fatal(plots, err)
	}
	for _, path := range plots {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for dec := xml.NewDecoder(f); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v", path, err)
				break
			}
		}
		_ = f.Close()
	}
}

func TestAxis(t *testing.T) {
	a := newAxis([]float64{10, 100_000}, nil, 0, 500)
	if lo, hi := a.at(10), a.at(100_000); lo < 0 || hi > 500 || lo > 30 || hi < 470 {
		t.Errorf("10 lies at %.0f, 100,000 at %.0f of 500", lo, hi)
	}
	if mid := a.at(1000); mid < 249 || mid > 251 {
		t.Errorf("1,000 lies at %.1f", mid)
	}
	if len(a.ticks) != 5 {
		t.Errorf("ticks %v", a.ticks)
	}
}
