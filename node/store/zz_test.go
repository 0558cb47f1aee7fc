package store

import (
	"sync"
	"syscall"
	"testing"
)

func cpu() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkCPU(b *testing.B) {
	type pm struct {
		mu sync.RWMutex
		m  map[string]*Entry
	}
	f := filled()
	keys := f.keys
	ps := make([]pm, benchParts)
	for i := range ps {
		ps[i].m = map[string]*Entry{}
	}
	for i := range keys {
		ps[i%benchParts].m[keys[i]] = f.s.Get(i%benchParts, keys[i])
	}
	for _, l := range []string{"uniform", "zipf", "one"} {
		o := order(l == "zipf")
		if l == "one" {
			clear(o)
		}
		b.Run("map/"+l, func(b *testing.B) {
			c := cpu()
			for i := 0; b.Loop(); i++ {
				k := int(o[i&(len(o)-1)])
				p := &ps[k%benchParts]
				p.mu.RLock()
				e := p.m[keys[k]]
				p.mu.RUnlock()
				if e == nil || e.Expires != 0 && e.Expires < 5 {
					b.Error("x")
				}
			}
			b.ReportMetric(float64(cpu()-c)/float64(b.N), "cpu-ns")
		})
		b.Run("store/"+l, func(b *testing.B) {
			c := cpu()
			for i := 0; b.Loop(); i++ {
				k := int(o[i&(len(o)-1)])
				if f.s.Get(k%benchParts, keys[k]) == nil {
					b.Error("x")
				}
			}
			b.ReportMetric(float64(cpu()-c)/float64(b.N), "cpu-ns")
		})
	}
}
