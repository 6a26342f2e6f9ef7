// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// gauge is one figure of the status document. Only what an operator would alert on is one.
type gauge struct {
	desc *prometheus.Desc
	of   func(Status) (float64, bool)
}

func gauges() []gauge {
	all := []gauge{}
	add := func(name, help string, of func(Status) (float64, bool)) {
		all = append(all, gauge{prometheus.NewDesc("assay_host_"+name, help, nil, nil), of})
	}
	always := func(v float64) (float64, bool) { return v, true }
	one := func(is bool) (float64, bool) {
		if is {
			return 1, true
		}
		return 0, true
	}
	add("node_reachable", "Whether the node answers.", func(s Status) (float64,
		bool) {
		return one(s.Reachable)
	})
	add("height", "Height of the chain as last seen.", func(s Status) (float64,
		bool) {
		return always(float64(s.Height))
	})
	add("chain_still", "Whether the chain makes no blocks; the status says why.",
		func(s Status) (float64, bool) { return one(s.Still != "") })
	add("workers_connected", "Workers that are connected.", func(s Status) (float64, bool) {
		n := 0
		for _, w := range s.Workers {
			if w.Connected {
				n++
			}
		}
		return always(float64(n))
	})
	add("queue", "Messages under way to the chain.", func(s Status) (float64,
		bool) {
		return always(float64(len(s.Queue)))
	})
	add("logs_left_out", "Logs of this epoch that are not committed for a wrong leaf.",
		func(s Status) (float64, bool) { return always(float64(len(s.LeftOut))) })
	add("logs_in_excess", "Logs of this epoch that are not committed as a whole, because the "+
		"chain takes no more.", func(s Status) (float64, bool) {
		return always(float64(len(s.Excess)))
	})
	add("stream_proving", "Whether machines prove between two Sprints.",
		func(s Status) (float64, bool) { return one(s.Stream != nil && s.Stream.Proving) })
	add("stream_leaves", "Leaves of the epoch's stream that are on chain.",
		func(s Status) (float64, bool) {
			if s.Stream == nil {
				return 0, false
			}
			return always(float64(s.Stream.Leaves))
		})
	add("faults", "Parts of this host that do not work; the status names them.",
		func(s Status) (float64, bool) { return always(float64(len(s.Faults))) })
	add("disk_free_bytes", "Free space where this host writes.", func(s Status) (float64, bool) {
		if s.Disk == nil {
			return 0, false
		}
		return always(float64(s.Disk.Free))
	})
	add("disk_full", "Whether new work is refused for want of space.",
		func(s Status) (float64, bool) { return one(s.Disk != nil && s.Disk.Full) })
	add("node_disk_nearly_full", "Whether the node says that its disk is nearly full.",
		func(s Status) (float64, bool) { return one(s.NodeDisk != "") })
	add("hot_key_allowance_acpc", "What the hot key may still spend on fees; 0 where nothing is "+
		"granted.", func(s Status) (float64, bool) {
		switch k := s.HotKey; {
		case k == nil || !k.Known || k.Granted && k.Left == nil: // not known, or without a bound
			return 0, false
		case !k.Granted:
			return 0, true
		}
		v, err := strconv.ParseFloat(s.HotKey.Left.String(), 64)
		return v, err == nil
	})
	pool := func(of func(Status) uint64) func(Status) (float64, bool) {
		return func(s Status) (float64, bool) {
			if s.Pool == nil {
				return 0, false
			}
			return float64(of(s)), true
		}
	}
	add("pool_devices", "Machines that ever registered.",
		pool(func(s Status) uint64 { return s.Pool.Devices }))
	add("pool_accepted", "Submissions that were accepted.",
		pool(func(s Status) uint64 { return s.Pool.Accepted }))
	add("pool_rejected", "Submissions that were proven forged.",
		pool(func(s Status) uint64 { return s.Pool.Rejected }))
	add("pool_failed", "Submissions whose questions nobody answered.",
		pool(func(s Status) uint64 { return s.Pool.Failed }))
	add("payment_blocked", "Whether payment is blocked; the status says why.",
		func(s Status) (float64, bool) {
			if s.Payment == nil {
				return 0, false
			}
			return one(s.Payment.Doing == "blocked")
		})
	return all
}

// collector reads the status document when it is asked.
type collector struct {
	gauges []gauge
	status func() Status
}

func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		out <- g.desc
	}
}

func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.status()
	for _, g := range c.gauges {
		if v, ok := g.of(s); ok {
			out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, v)
		}
	}
}

// metrics serves the status document's figures to Prometheus.
func metrics(status func() Status) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{gauges(), status})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}
