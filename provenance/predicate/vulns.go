package predicate

import (
	"github.com/hallmark-build/hallmark/provenance"
)

// Vulns is the result of a vulnerability scan of the subjects, predicate type
// [TypeVulns] (in-toto attestation, spec/predicates/vulns_02.md).
type Vulns struct {
	Scanner  VulnScanner  `json:"scanner"`
	Metadata VulnMetadata `json:"metadata"`
}

// VulnScanner is the scanner and what it found.
type VulnScanner struct {
	URI     string `json:"uri"` // required
	Version string `json:"version,omitempty"`
	DB      VulnDB `json:"db"`
	// Result is required. An empty list says that the scanner found nothing; nil
	// is not taken for it, since that is what is left of a result that was lost.
	Result []VulnResult `json:"result"`
}

// VulnDB is the vulnerability database that a scanner used.
type VulnDB struct {
	URI        string    `json:"uri,omitempty"`
	Version    string    `json:"version,omitempty"`
	LastUpdate Timestamp `json:"lastUpdate"` // required
}

// VulnResult is one vulnerability.
type VulnResult struct {
	ID          string           `json:"id"`       // "CVE-2017-5645"; required
	Severity    []VulnSeverity   `json:"severity"` // required
	Annotations []map[string]any `json:"annotations,omitempty"`
}

// VulnSeverity is a severity by one method of scoring; both are required.
type VulnSeverity struct {
	Method string `json:"method"` // "nvd", "cvss_score"
	Score  string `json:"score"`  // "medium", "5.2"
}

// VulnMetadata says when the scan was made; both are required.
type VulnMetadata struct {
	ScanStartedOn  Timestamp `json:"scanStartedOn"`
	ScanFinishedOn Timestamp `json:"scanFinishedOn"`
}

// Validate checks the required fields and the times.
func (v *Vulns) Validate() error { return wrap("vulns", v.validate()) }

func (v *Vulns) validate() error {
	if err := missing("scanner.uri", v.Scanner.URI); err != nil {
		return err
	}
	if v.Scanner.Result == nil {
		return bad("scanner.result is required, empty if nothing was found")
	}
	for i, r := range v.Scanner.Result {
		if r.ID == "" {
			return bad("scanner.result[%d].id is required", i)
		}
		if len(r.Severity) == 0 {
			return bad("scanner.result[%d].severity is required", i)
		}
		for j, s := range r.Severity {
			if s.Method == "" || s.Score == "" {
				return bad("scanner.result[%d].severity[%d]: method and score are required", i, j)
			}
		}
	}
	if v.Scanner.DB.LastUpdate.IsZero() {
		return bad("scanner.db.lastUpdate is required")
	}
	if err := v.Scanner.DB.LastUpdate.utc("scanner.db.lastUpdate"); err != nil {
		return err
	}
	if v.Metadata.ScanStartedOn.IsZero() || v.Metadata.ScanFinishedOn.IsZero() {
		return bad("metadata.scanStartedOn and metadata.scanFinishedOn are required")
	}
	return period("metadata.scanStartedOn", v.Metadata.ScanStartedOn, "metadata.scanFinishedOn", v.Metadata.ScanFinishedOn)
}

// Statement validates the result and states it about the subjects, what was scanned.
func (v *Vulns) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(v, subjects, TypeVulns)
}

// ParseVulns reads a predicate of type [TypeVulns].
func ParseVulns(predicate []byte) (*Vulns, error) {
	return parse[Vulns]("vulns", predicate)
}

// ParseVulnsV01 reads a predicate of type [TypeVulnsV01] (vuln.md) into the
// form of v0.2. The text of v0.1 has each result's fields inside an object
// "vulnerability", its example has them outside; both are read, and a result that has
// both is refused.
func ParseVulnsV01(predicate []byte) (*Vulns, error) {
	const what = "vulns v0.1"
	type result struct {
		VulnResult
		Vulnerability *VulnResult `json:"vulnerability"`
	}
	var old struct {
		Scanner struct {
			URI     string   `json:"uri"`
			Version string   `json:"version"`
			DB      VulnDB   `json:"db"`
			Result  []result `json:"result"`
		} `json:"scanner"`
		Metadata VulnMetadata `json:"metadata"`
	}
	if err := decode(predicate, &old); err != nil {
		return nil, wrap(what, err)
	}
	v := &Vulns{Metadata: old.Metadata, Scanner: VulnScanner{URI: old.Scanner.URI, Version: old.Scanner.Version, DB: old.Scanner.DB}}
	if old.Scanner.Result != nil {
		v.Scanner.Result = make([]VulnResult, 0, len(old.Scanner.Result))
	}
	for i, r := range old.Scanner.Result {
		if r.Vulnerability != nil {
			if r.ID != "" {
				return nil, bad("%s: scanner.result[%d] has an id and a vulnerability", what, i)
			}
			r.VulnResult = *r.Vulnerability
		}
		v.Scanner.Result = append(v.Scanner.Result, r.VulnResult)
	}
	if err := v.validate(); err != nil {
		return nil, wrap(what, err)
	}
	return v, nil
}

// CosignVuln is cosign's vulnerability scan record, which trivy writes too,
// predicate type [TypeCosignVuln] (cosign,
// specs/COSIGN_VULN_ATTESTATION_SPEC.md).
type CosignVuln struct {
	Invocation CosignInvocation `json:"invocation"`
	Scanner    CosignScanner    `json:"scanner"`
	// Metadata may have times with an offset: tools in use write local time.
	Metadata VulnMetadata `json:"metadata"`
}

// CosignInvocation is how a scanner was run; all of it may be empty.
type CosignInvocation struct {
	Parameters any    `json:"parameters"` // a list or an object
	URI        string `json:"uri"`
	EventID    string `json:"event_id"`
	BuilderID  string `json:"builder.id"`
}

// CosignScanner is a scanner and its report.
type CosignScanner struct {
	URI     string `json:"uri"` // required
	Version string `json:"version"`
	DB      struct {
		URI     string `json:"uri"`
		Version string `json:"version"`
	} `json:"db"`
	// Result is the report in the scanner's own format, an object. Required.
	Result map[string]any `json:"result"`
}

// Validate checks that there is a scanner and a result, and the times. An empty result is
// refused: no scanner's report is an empty object.
func (c *CosignVuln) Validate() error {
	const what = "cosign vuln"
	if err := missing("scanner.uri", c.Scanner.URI); err != nil {
		return wrap(what, err)
	}
	if len(c.Scanner.Result) == 0 {
		return bad("%s: scanner.result is required", what)
	}
	return wrap(what, ordered("metadata.scanStartedOn", c.Metadata.ScanStartedOn,
		"metadata.scanFinishedOn", c.Metadata.ScanFinishedOn))
}

// Statement validates the record and states it about the subjects, what was scanned.
func (c *CosignVuln) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(c, subjects, TypeCosignVuln)
}

// ParseCosignVuln reads a predicate of type [TypeCosignVuln].
func ParseCosignVuln(predicate []byte) (*CosignVuln, error) {
	return parse[CosignVuln]("cosign vuln", predicate)
}
