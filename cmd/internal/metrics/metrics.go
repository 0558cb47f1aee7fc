// Package metrics shows a node's counters and gauges to Prometheus.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/huddle-cache/huddle/node"
)

// Source is the node that is measured. Its methods are safe for concurrent use.
type Source interface {
	Stats() node.Stats
	Members() []node.Member
}

// Handler answers scrapes with the metrics of src, of the Go runtime and of the process. It has a registry of its own.
func Handler(src Source, version string) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		newCollector(src, version),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 8})
}

// metric is one number taken from Stats.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*node.Stats) float64
}

// collector turns Stats into metrics with each scrape.
type collector struct {
	src     Source
	version string
	metrics []metric
	share   *prometheus.Desc
	build   *prometheus.Desc
}

func newCollector(src Source, version string) *collector {
	c := &collector{
		src:     src,
		version: version,
		share:   prometheus.NewDesc("huddle_member_share_ratio", "Part of the partitions that the member owns, as this node sees it.", []string{"member", "state"}, nil),
		build:   prometheus.NewDesc("huddle_build_info", "Constant 1, labelled with the version.", []string{"version"}, nil),
	}
	gauge := func(name, help string, of func(*node.Stats) float64) {
		c.metrics = append(c.metrics, metric{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, of})
	}
	counter := func(name, help string, of func(*node.Stats) float64) {
		c.metrics = append(c.metrics, metric{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, of})
	}
	gauge("huddle_view_number", "Number of the present view of the cluster.", func(s *node.Stats) float64 { return float64(s.View) })
	gauge("huddle_members", "Members of the present view.", func(s *node.Stats) float64 { return float64(s.Members) })
	gauge("huddle_in_sync", "1 when the node is ready: a member with a majority that holds all it should.", func(s *node.Stats) float64 { return truth(s.InSync) })
	gauge("huddle_acting", "1 while a majority confirms the view to this node.", func(s *node.Stats) float64 { return truth(s.Acting) })
	gauge("huddle_settled", "1 while no hand-over is under way in the cluster.", func(s *node.Stats) float64 { return truth(s.Settled) })
	gauge("huddle_partitions", "Partitions of the ring.", func(s *node.Stats) float64 { return float64(s.Partitions) })
	gauge("huddle_partitions_owned", "Partitions this node owns.", func(s *node.Stats) float64 { return float64(s.Owned) })
	gauge("huddle_partitions_pending", "Partitions this node still has to pull.", func(s *node.Stats) float64 { return float64(s.Pending) })
	gauge("huddle_entries", "Live entries owned or copied here.", func(s *node.Stats) float64 { return float64(s.Entries) })
	gauge("huddle_near_entries", "Near copies of entries of other nodes.", func(s *node.Stats) float64 { return float64(s.Near) })
	gauge("huddle_tombstones", "Marks of deleted keys kept here.", func(s *node.Stats) float64 { return float64(s.Tombstones) })
	gauge("huddle_memory_used_bytes", "Memory taken by entries, marks and holders.", func(s *node.Stats) float64 { return float64(s.Bytes) })
	gauge("huddle_memory_limit_bytes", "Bound of huddle_memory_used_bytes.", func(s *node.Stats) float64 { return float64(s.MaxBytes) })

	counter("huddle_hits_total", "Reads answered from this node's memory.", func(s *node.Stats) float64 { return float64(s.Hits) })
	counter("huddle_near_hits_total", "Of the hits, those from near copies.", func(s *node.Stats) float64 { return float64(s.NearHits) })
	counter("huddle_remote_reads_total", "Reads that another node answered with a value.", func(s *node.Stats) float64 { return float64(s.Remote) })
	counter("huddle_misses_total", "Reads of keys that were certainly absent.", func(s *node.Stats) float64 { return float64(s.Misses) })
	counter("huddle_unsure_reads_total", "Reads whose answer was not known at that time.", func(s *node.Stats) float64 { return float64(s.Unsure) })
	counter("huddle_sets_total", "Sets.", func(s *node.Stats) float64 { return float64(s.Sets) })
	counter("huddle_deletes_total", "Deletes.", func(s *node.Stats) float64 { return float64(s.Deletes) })
	counter("huddle_cuts_total", "Clears, tag invalidations and user revocations.", func(s *node.Stats) float64 { return float64(s.Cuts) })
	counter("huddle_evictions_total", "Values and near copies given up for room.", func(s *node.Stats) float64 { return float64(s.Evictions) })
	counter("huddle_expirations_total", "Entries whose TTL ended.", func(s *node.Stats) float64 { return float64(s.Expirations) })
	counter("huddle_unconfirmed_writes_total", "Writes that were not confirmed in time.", func(s *node.Stats) float64 { return float64(s.Unconfirmed) })
	counter("huddle_view_changes_total", "Views adopted.", func(s *node.Stats) float64 { return float64(s.ViewChanges) })
	counter("huddle_late_confirmations_total", "Deletions and cuts confirmed after their caller had given up.", func(s *node.Stats) float64 { return float64(s.Late) })
	counter("huddle_deletions_given_up_total", "Deletions and cuts that went on after their caller had given up, and were given up too.", func(s *node.Stats) float64 { return float64(s.GivenUp) })
	counter("huddle_pulled_entries_total", "Entries pulled in hand-overs.", func(s *node.Stats) float64 { return float64(s.PulledEntries) })
	counter("huddle_pulled_bytes_total", "Bytes pulled in hand-overs.", func(s *node.Stats) float64 { return float64(s.PulledBytes) })
	counter("huddle_sent_messages_total", "Messages sent to peers.", func(s *node.Stats) float64 { return float64(s.SentMessages) })
	counter("huddle_sent_bytes_total", "Bytes sent to peers.", func(s *node.Stats) float64 { return float64(s.SentBytes) })
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		ch <- m.desc
	}
	ch <- c.share
	ch <- c.build
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	st := c.src.Stats()
	for _, m := range c.metrics {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.of(&st))
	}
	// A name appears once: a restarted node may stand beside its former self for a moment.
	seen := make(map[string]bool)
	for _, m := range c.src.Members() {
		if !seen[m.Name] {
			seen[m.Name] = true
			ch <- prometheus.MustNewConstMetric(c.share, prometheus.GaugeValue, m.Share, validLabel(m.Name), validLabel(m.State))
		}
	}
	ch <- prometheus.MustNewConstMetric(c.build, prometheus.GaugeValue, 1, validLabel(c.version))
}
