package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run measured.
type Result struct {
	Workload   string             `json:"workload"`
	Callers    int                `json:"callers"`
	Seconds    float64            `json:"seconds"`
	Requests   int64              `json:"requests"`
	PerSecond  float64            `json:"per_second"`
	Misses     int64              `json:"misses"` // Gets that found nothing
	Errors     int64              `json:"errors"`
	FirstError string             `json:"error,omitempty"` // one of them
	All        Latency            `json:"all"`
	Ops        map[string]Latency `json:"ops"` // by kind of call
}

// Latency tells of durations in ns, each at most 1 % off. Failed calls are not in it; where only a sample was timed, each timed
// call stands for as many as it was taken from.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ns"`
	P50   int64   `json:"p50_ns"`
	P90   int64   `json:"p90_ns"`
	P99   int64   `json:"p99_ns"`
	P999  int64   `json:"p999_ns"`
	Max   int64   `json:"max_ns"`
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	return Latency{
		Count: h.TotalCount(), Mean: h.Mean(), P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90), P99: h.ValueAtQuantile(99),
		P999: h.ValueAtQuantile(99.9), Max: h.Max(),
	}
}

func (r Run) result(callers []*caller, took time.Duration) Result {
	out := Result{Workload: r.Workload.String(), Callers: r.Callers, Seconds: took.Seconds(), Ops: map[string]Latency{}}
	all := hdrhistogram.New(shortest, longest, digits)
	for op := range ops {
		h := hdrhistogram.New(shortest, longest, digits)
		for _, c := range callers {
			h.Merge(c.times[op])
		}
		if h.TotalCount() > 0 {
			out.Ops[op.String()] = latencyOf(h)
			all.Merge(h)
		}
	}
	for _, c := range callers {
		out.Requests += c.done.Load()
		out.Misses += c.missed.Load()
		out.Errors += c.failed.Load()
		if c.err != nil && out.FirstError == "" {
			out.FirstError = c.err.Error()
		}
	}
	out.All = latencyOf(all)
	if out.Seconds > 0 {
		out.PerSecond = float64(out.Requests-out.Errors) / out.Seconds
	}
	return out
}
