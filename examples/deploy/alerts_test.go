//go:build linux

package deploy

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

const alertsFile = "prometheus/huddle.rules.yaml"

// alerts reads the file as Prometheus does: an unknown field, a wrong expression or template fails.
func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(alertsFile, false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	out := map[string]rulefmt.Rule{}
	if groups == nil {
		t.FailNow()
	}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			out[r.Alert] = r
		}
	}
	return out
}

// Every metric that an alert asks for is one that a node tells, and every label one that it has.
func TestAlertsAskForWhatNodesTell(t *testing.T) {
	t.Parallel()
	text := scrape(t)
	told := map[string]bool{"up": true} // of Prometheus itself
	for _, found := range regexp.MustCompile(`(?m)^# TYPE (\w+) `).FindAllStringSubmatch(text, -1) {
		told[found[1]] = true
	}
	if !strings.Contains(text, `huddle_build_info{version="`) {
		t.Error("a node tells no version")
	}
	asked := 0
	for name, r := range alerts(t) {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
		if err != nil {
			t.Fatal(name, err)
		}
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			if v, ok := n.(*parser.VectorSelector); ok {
				if asked++; !told[v.Name] {
					t.Errorf("%s asks for %s, which no node tells", name, v.Name)
				}
				if !slices.ContainsFunc(v.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == "job" && m.Value == "huddle" }) {
					t.Errorf("%s asks all jobs for %s", name, v.Name)
				}
			}
			return nil
		})
	}
	if asked == 0 {
		t.Error("nothing is asked for")
	}
}

// scrape runs a node, and returns its metrics.
func scrape(t *testing.T) string {
	t.Helper()
	const admin = "127.77.30.1:7480"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, build(t), "serve", "--name=one", "--listen=127.77.30.1:7400", "--resp=off", "--admin="+admin)
	var log strings.Builder
	node.Stdout, node.Stderr = &log, &log
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = node.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			text, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err == nil && res.StatusCode == http.StatusOK {
				return string(text)
			}
		}
		select {
		case <-ctx.Done():
			t.Fatal("the node tells no metrics within a minute")
		case <-tick.C:
		}
	}
}

// An hour of three nodes, a value a minute, and the alerts that are there after it. What a case does not name is as it is in a cluster that is well.
func TestAlertsTell(t *testing.T) {
	well := []string{
		`up{job="huddle",instance="a"} 1x60`, `up{job="huddle",instance="b"} 1x60`, `up{job="huddle",instance="c"} 1x60`,
		`huddle_acting{job="huddle",instance="a"} 1x60`, `huddle_acting{job="huddle",instance="b"} 1x60`,
		`huddle_in_sync{job="huddle",instance="a"} 1x60`, `huddle_in_sync{job="huddle",instance="b"} 1x60`, `huddle_in_sync{job="huddle",instance="c"} 1x60`,
		`huddle_members{job="huddle",instance="a"} 3x60`, `huddle_members{job="huddle",instance="b"} 3x60`, `huddle_members{job="huddle",instance="c"} 3x60`,
		`huddle_deletions_given_up_total{job="huddle",instance="a"} 2x60`,
		`huddle_unsure_reads_total{job="huddle",instance="a"} 7+1x60`,
		`huddle_hits_total{job="huddle",instance="a"} 100+1000x60`,
		`huddle_remote_reads_total{job="huddle",instance="a"} 0+100x60`,
		`huddle_misses_total{job="huddle",instance="a"} 0+100x60`,
		`huddle_unconfirmed_writes_total{job="huddle",instance="a"} 3x60`,
		`huddle_evictions_total{job="huddle",instance="a"} 5x60`,
		`huddle_memory_used_bytes{job="huddle",instance="a"} 99x60`, `huddle_memory_limit_bytes{job="huddle",instance="a"} 100x60`,
		`huddle_partitions_pending{job="huddle",instance="a"} 0x60`,
		`huddle_view_changes_total{job="huddle",instance="a"} 4x48 5 6 7 8 9 10 11 12 13 14 15 16`, // a rolling update
		`huddle_build_info{job="huddle",instance="a",version="1"} 1x60`, `huddle_build_info{job="huddle",instance="b",version="1"} 1x60`,
	}
	all := alerts(t)
	silent := slices.Collect(maps.Keys(all))
	for name, c := range map[string]struct {
		instead []string // these in place of the series with the same name and labels
		tells   []string
	}{
		"well": {},
		"a node is down": {
			[]string{`up{job="huddle",instance="b"} 1x58 0 0`}, []string{"HuddleNodeDown"},
		},
		"another job is down": {
			[]string{`up{job="shop",instance="b"} 0x60`}, nil,
		},
		"one has no majority": {
			[]string{`huddle_acting{job="huddle",instance="b"} 1x50 0x9`, `huddle_in_sync{job="huddle",instance="b"} 1x50 0x9`},
			[]string{"HuddleNodeOutside"},
		},
		"none has a majority": {
			[]string{
				`huddle_acting{job="huddle",instance="a"} 1x50 0x9`, `huddle_acting{job="huddle",instance="b"} 1x50 0x9`,
				`huddle_in_sync{job="huddle",instance="a"} 1x50 0x9`, `huddle_in_sync{job="huddle",instance="b"} 1x50 0x9`,
				`huddle_in_sync{job="huddle",instance="c"} 1x50 0x9`,
			},
			[]string{"HuddleNodeOutside", "HuddleWithoutMajority"},
		},
		"two clusters": {
			[]string{
				`huddle_members{job="huddle",instance="a"} 2x60`, `huddle_members{job="huddle",instance="b"} 2x60`, `huddle_members{job="huddle",instance="c"} 1x60`,
			},
			[]string{"HuddleSeveralClusters"},
		},
		"one is expelled and waits outside": {
			[]string{
				`huddle_members{job="huddle",instance="a"} 2x60`, `huddle_members{job="huddle",instance="b"} 2x60`,
				`huddle_members{job="huddle",instance="c"} 1x60`, `huddle_in_sync{job="huddle",instance="c"} 0x60`,
			},
			[]string{"HuddleNodeOutside"},
		},
		"a deletion is given up": {
			[]string{`huddle_deletions_given_up_total{job="huddle",instance="a"} 2x40 3x19`}, []string{"HuddleDeletionGivenUp"},
		},
		"unsure": {
			[]string{`huddle_unsure_reads_total{job="huddle",instance="a"} 0+50x60`}, []string{"HuddleUnsure"},
		},
		"nobody asks": {
			[]string{
				`huddle_unsure_reads_total{job="huddle",instance="a"} 7x60`, `huddle_hits_total{job="huddle",instance="a"} 7x60`,
				`huddle_remote_reads_total{job="huddle",instance="a"} 7x60`, `huddle_misses_total{job="huddle",instance="a"} 7x60`,
			}, nil,
		},
		"unconfirmed": {
			[]string{`huddle_unconfirmed_writes_total{job="huddle",instance="a"} 0+1x60`}, []string{"HuddleUnconfirmedWrites"},
		},
		"one write was not confirmed": {
			[]string{`huddle_unconfirmed_writes_total{job="huddle",instance="a"} 3x56 4x3`}, nil,
		},
		"no room": {
			[]string{`huddle_evictions_total{job="huddle",instance="a"} 0+9x60`}, []string{"HuddleEvicts"},
		},
		"no room, and no tombstones": { // an eighth is set aside for them
			[]string{`huddle_evictions_total{job="huddle",instance="a"} 0+9x60`, `huddle_memory_used_bytes{job="huddle",instance="a"} 87x60`},
			[]string{"HuddleEvicts"},
		},
		"evicts near copies only": { // of which there is a share of the room
			[]string{`huddle_evictions_total{job="huddle",instance="a"} 0+9x60`, `huddle_memory_used_bytes{job="huddle",instance="a"} 40x60`}, nil,
		},
		"a hand-over": {
			[]string{`huddle_partitions_pending{job="huddle",instance="a"} 12x60`}, []string{"HuddleHandOverLasts"},
		},
		"come and go": {
			[]string{`huddle_view_changes_total{job="huddle",instance="a"} 0+3x60`}, []string{"HuddleMembersComeAndGo"},
		},
		"an update": {
			[]string{`huddle_build_info{job="huddle",instance="c",version="2"} 1x60`}, []string{"HuddleVersionsDiffer"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tells := telling(t, all, with(t, well, c.instead))
			if !slices.Equal(tells, c.tells) {
				t.Errorf("tells %v, want %v", tells, c.tells)
			}
			silent = slices.DeleteFunc(silent, func(alert string) bool { return slices.Contains(tells, alert) })
		})
	}
	if len(silent) > 0 {
		t.Errorf("in no case: %v", silent)
	}
}

const minutes = 60 // that a series goes on for

// seriesOf reads a series in the notation of promtool: the metric, and its value each minute.
func seriesOf(t *testing.T, text string) *storage.SeriesEntry {
	t.Helper()
	metric, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(text)
	if err != nil || len(values) != minutes+1 {
		t.Fatalf("%s: %d values, %v", text, len(values), err)
	}
	samples := make([]chunks.Sample, len(values))
	for i, v := range values {
		samples[i] = sample{at: int64(i) * 60_000, value: v.Value}
	}
	return storage.NewListSeries(metric, samples)
}

// with returns series with some of them replaced, or others beside them.
func with(t *testing.T, series, instead []string) (out []storage.Series) {
	t.Helper()
	byMetric := map[string]storage.Series{}
	for _, text := range slices.Concat(series, instead) {
		s := seriesOf(t, text)
		byMetric[s.Lset.String()] = s
	}
	for _, metric := range slices.Sorted(maps.Keys(byMetric)) {
		out = append(out, byMetric[metric])
	}
	return out
}

// telling returns the alerts that are there at the end, sorted: those that have been true for as long as they say.
func telling(t *testing.T, all map[string]rulefmt.Rule, series []storage.Series) (out []string) {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute})
	defer engine.Close()
	data := &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			return &seriesSet{SeriesSet: storage.EmptySeriesSet(), left: slices.DeleteFunc(slices.Clone(series), func(s storage.Series) bool {
				return slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Labels().Get(m.Name)) })
			})}
		},
	}}
	const step = 15 * time.Second
	end := time.UnixMilli(0).Add(minutes * time.Minute)
	for _, alert := range slices.Sorted(maps.Keys(all)) {
		during := time.Duration(all[alert].For)
		query, err := engine.NewRangeQuery(t.Context(), data, nil, all[alert].Expr, end.Add(-during), end, step)
		if err != nil {
			t.Fatal(alert, err)
		}
		matrix, err := query.Exec(t.Context()).Matrix()
		if err != nil {
			t.Fatal(alert, err)
		}
		if slices.ContainsFunc(matrix, func(s promql.Series) bool { return len(s.Floats) == int(during/step)+1 }) {
			out = append(out, alert)
		}
		query.Close()
	}
	return out
}

// seriesSet hands out series one after the other. It implements storage.SeriesSet.
type seriesSet struct {
	storage.SeriesSet // of none
	at                storage.Series
	left              []storage.Series
}

func (s *seriesSet) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.at, s.left = s.left[0], s.left[1:]
	return true
}

func (s *seriesSet) At() storage.Series { return s.at }

// sample is a value of a series. It implements chunks.Sample.
type sample struct {
	at    int64 // ms
	value float64
}

func (s sample) T() int64                    { return s.at }
func (s sample) ST() int64                   { return 0 }
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }
