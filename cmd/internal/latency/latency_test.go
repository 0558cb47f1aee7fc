package latency

import (
	"testing"
	"time"
)

func TestBucketsAreContiguousAndNarrow(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 15, 16, 17, 31, 32, 1000, time.Microsecond, 123456, time.Millisecond, time.Second, time.Hour, 1 << 62} {
		i := bucketOf(d)
		if up := upperOf(i); up < d || float64(up) > float64(d)*1.07 && d >= 16 || i > 0 && upperOf(i-1) >= d {
			t.Errorf("%d fell into bucket %d, which ends at %d", d, i, up)
		}
	}
	if bucketOf(-5) != 0 {
		t.Error("a negative duration is not counted as 0")
	}
}

func TestQuantiles(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Count() != 0 {
		t.Fatal("an empty histogram knows something")
	}
	for i := 1; i <= 1000; i++ {
		h.Record(time.Duration(i) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		got := h.Quantile(q)
		if got < want || float64(got) > float64(want)*1.07 {
			t.Errorf("quantile %v: %v", q, got)
		}
	}
	if h.Max() != time.Second || h.Count() != 1000 {
		t.Error("count or maximum is wrong")
	}
	h.Reset()
	if h.Count() != 0 || h.Max() != 0 || h.Quantile(1) != 0 {
		t.Error("not empty after Reset")
	}
}
