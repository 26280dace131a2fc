package predicate

import (
	"github.com/hallmark-build/hallmark/provenance"
)

// RuntimeTrace is what a monitor saw while the subjects were made, predicate
// type [TypeRuntimeTrace] (in-toto attestation, spec/predicates/runtime-trace.md).
type RuntimeTrace struct {
	Monitor          Monitor          `json:"monitor"`
	MonitoredProcess MonitoredProcess `json:"monitoredProcess"`
	MonitorLog       MonitorLog       `json:"monitorLog"`
	Metadata         TraceMetadata    `json:"metadata,omitzero"`
}

// Monitor is the tool that observed.
type Monitor struct {
	Type         string                         `json:"type"` // a URI; required
	ConfigSource *provenance.ResourceDescriptor `json:"configSource,omitempty"`
	TracePolicy  map[string]any                 `json:"tracePolicy,omitempty"`
}

// MonitoredProcess is what was observed; all three are required.
type MonitoredProcess struct {
	HostID string `json:"hostID"` // a URI
	Type   string `json:"type"`   // a URI, the build type for a build
	Event  string `json:"event"`  // the job or task
}

// MonitorLog is what was seen. At least one list must have an entry. What stands in
// Process and Network depends on the monitor's type.
type MonitorLog struct {
	Process    []map[string]any                `json:"process,omitempty"`
	Network    []map[string]any                `json:"network,omitempty"`
	FileAccess []provenance.ResourceDescriptor `json:"fileAccess,omitempty"`
}

// TraceMetadata says when.
type TraceMetadata struct {
	BuildStartedOn  Timestamp `json:"buildStartedOn,omitzero"`
	BuildFinishedOn Timestamp `json:"buildFinishedOn,omitzero"`
}

// Validate checks the required fields, the descriptors and the times.
func (r *RuntimeTrace) Validate() error { return wrap("runtime-trace", r.validate()) }

func (r *RuntimeTrace) validate() error {
	p, log := r.MonitoredProcess, r.MonitorLog
	if err := missing("monitor.type", r.Monitor.Type, "monitoredProcess.hostID", p.HostID,
		"monitoredProcess.type", p.Type, "monitoredProcess.event", p.Event); err != nil {
		return err
	}
	if len(log.Process)+len(log.Network)+len(log.FileAccess) == 0 {
		return bad("monitorLog: want at least one of process, network and fileAccess")
	}
	if err := descriptors("monitorLog.fileAccess", log.FileAccess); err != nil {
		return err
	}
	if err := optionalDescriptor("monitor.configSource", r.Monitor.ConfigSource); err != nil {
		return err
	}
	return period("metadata.buildStartedOn", r.Metadata.BuildStartedOn, "metadata.buildFinishedOn", r.Metadata.BuildFinishedOn)
}

// Statement validates the trace and states it about the subjects, the products of what was traced.
func (r *RuntimeTrace) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(r, subjects, TypeRuntimeTrace)
}

// ParseRuntimeTrace reads a predicate of type [TypeRuntimeTrace].
func ParseRuntimeTrace(predicate []byte) (*RuntimeTrace, error) {
	return parse[RuntimeTrace]("runtime-trace", predicate)
}
