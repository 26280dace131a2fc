package report

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/show"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// The part of SARIF 2.1.0 (OASIS, sections 3.13 to 3.52) that is written.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Artifacts   []sarifArtifact   `json:"artifacts,omitempty"`
		Results     []sarifResult     `json:"results"`
		ColumnKind  string            `json:"columnKind"`
		Properties  map[string]any    `json:"properties"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID     string       `json:"id"`
		Short  sarifMessage `json:"shortDescription"`
		Help   sarifMessage `json:"help"`
		Config struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful bool   `json:"executionSuccessful"`
		End        string `json:"endTimeUtc"`
	}
	sarifArtifact struct {
		Location sarifURI          `json:"location"`
		Hashes   map[string]string `json:"hashes,omitempty"`
	}
	sarifURI struct {
		URI string `json:"uri"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifMessage      `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   map[string]string `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact sarifURI `json:"artifactLocation"`
			Region   struct {
				StartLine int `json:"startLine"`
			} `json:"region"`
		} `json:"physicalLocation"`
		Logical []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
)

// SARIF writes the findings as results of SARIF 2.1.0, which code scanning
// services read. The rule of a result is the reason of a finding, its location
// the file that the finding is about, else the artifact judged. A pass has no
// results; a refusal always has one.
func SARIF(w io.Writer, r *verify.Report, _ Options) error {
	return render(w, r, func(b *bytes.Buffer) error {
		run := sarifRun{
			Tool:        sarifTool{sarifDriver{Name: "Hallmark", Rules: []sarifRule{}}},
			Invocations: []sarifInvocation{{true, r.At.UTC().Format(time.RFC3339)}},
			Results:     []sarifResult{},
			ColumnKind:  "unicodeCodePoints",
			Properties: map[string]any{
				"verdict": verdict(r), "policy": plain(r.Policy.Name, limits.ReportName), "policyVersion": r.Policy.Version,
				"stages": len(r.Stages), "findings": len(r.Findings),
			},
		}
		artifacts, _ := first(r.Artifacts, limits.ReportList)
		where := "artifact"
		for i := range artifacts {
			a := sarifArtifact{Location: sarifURI{relativeURI(artifacts[i].Name)}, Hashes: map[string]string{}}
			for _, d := range artifacts[i].Digest {
				// 3.24.11: names of hash functions as IANA has them.
				if n, ok := map[provenance.Algorithm]string{"sha256": "sha-256", "sha384": "sha-384", "sha512": "sha-512"}[d.Algorithm()]; ok {
					a.Hashes[n] = d.Value()
				}
			}
			run.Artifacts = append(run.Artifacts, a)
			if i == 0 {
				where = artifacts[i].Name
			}
		}
		findings := r.Findings
		if len(findings) == 0 && !r.Passed {
			findings = []verify.Finding{{Reason: "refused", Message: "the policy does not hold"}}
		}
		index := map[string]int{}
		findings, _ = first(findings, limits.ReportList)
		for i := range findings {
			f := &findings[i]
			id := plain(string(f.Reason), 40)
			n, ok := index[id]
			if !ok {
				n = len(run.Tool.Driver.Rules)
				index[id] = n
				e := explanations[f.Reason]
				if e.means == "" {
					e = explanation{"The policy does not hold for the artifact.", "See the message."}
				}
				rule := sarifRule{ID: id, Short: sarifMessage{e.means}, Help: sarifMessage{e.means + " " + e.mend}}
				rule.Config.Level = "error"
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
			}
			text := plain(f.Message, limits.ReportMessage)
			if f.Stage != "" {
				text = "stage " + plain(f.Stage, 60) + ": " + text
			}
			if f.Mend != "" {
				text += ". To mend it: " + plain(f.Mend, limits.ReportMessage)
			}
			res := sarifResult{RuleID: id, RuleIndex: n, Level: "error", Message: sarifMessage{sarifText(text)}, Properties: map[string]string{}}
			file := f.File
			if file == "" {
				file = where
			}
			loc := sarifLocation{}
			loc.Physical.Artifact.URI = relativeURI(file)
			loc.Physical.Region.StartLine = 1 // services want a line; an artifact has none
			if f.Stage != "" {
				loc.Logical = []sarifLogical{{plain(f.Stage, 60), "stage"}}
			}
			res.Locations = []sarifLocation{loc}
			res.Fingerprints = map[string]string{"hallmark/v1": fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", f.Reason, f.Stage, f.File, f.Want, f.Got)))}
			for k, v := range map[string]string{"want": f.Want, "wantStage": f.WantStage, "got": f.Got, "gotStage": f.GotStage, "nearest": f.Nearest} {
				if v != "" {
					res.Properties[k] = plain(v, limits.ReportName)
				}
			}
			run.Results = append(run.Results, res)
		}
		return encode(b, &sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
	})
}

func sarifText(s string) string { return show.SARIFText(s) }

func relativeURI(s string) string { return show.RelativeURI(s) }
