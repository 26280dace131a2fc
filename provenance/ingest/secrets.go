package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// Gitleaks reads the JSON report of gitleaks (--report-format json). The report
// does not say which version of gitleaks wrote it; the caller may.
//
// Each leak is a finding of level "error" with its rule, file and line. The
// secret, the matching text, the author and the message never get into the
// predicate, nor does a digest of the secret, with which guesses could be
// tested: the fingerprint is the SHA-256 of commit, file, rule and line. A
// report in which the name of a file or a rule holds the secret is refused.
//
// An empty list is a clean scan. Refused: null and an empty report, and a leak
// without a rule or a file.
//
// A condition for it:
//
//	predicate.tools.exists(t, t.name == "gitleaks") && size(predicate.findings) == 0
func Gitleaks(r io.Reader, version string) (*predicate.Scan, error) {
	s, err := gitleaks(r, version)
	return s, wrap("gitleaks", err)
}

func gitleaks(r io.Reader, version string) (*predicate.Scan, error) {
	var leaks []struct {
		RuleID, File, Commit, Secret, Match string
		StartLine                           int
	}
	digest, err := readJSON(r, &leaks)
	if err != nil {
		return nil, err
	}
	if leaks == nil {
		return nil, fail(ReasonIncomplete, "want a list, found null")
	}
	s := newScan("gitleaks", digest)
	if err := s.tool(predicate.ScanTool{Name: "gitleaks", Version: version, URI: "https://github.com/gitleaks/gitleaks"}); err != nil {
		return nil, err
	}
	for i, leak := range leaks {
		if leak.RuleID == "" || leak.File == "" {
			return nil, malformed("[%d]: want a RuleID and a File", i)
		}
		if err := s.leak(predicate.ScanFinding{
			Tool: "gitleaks", Rule: leak.RuleID, Level: predicate.LevelError, File: leak.File, Line: leak.StartLine,
		}, leak.Commit, leak.Secret, leak.Match); err != nil {
			return nil, wrap(fmt.Sprintf("[%d]", i), err)
		}
	}
	return s.done()
}

// leak adds the finding of a secret, of which nothing may show.
func (s *scan) leak(f predicate.ScanFinding, commit string, secrets ...string) error {
	if f.Line < 0 {
		return malformed("want a line from 1, found %d", f.Line)
	}
	for _, secret := range secrets {
		if len(secret) >= minSecret && (strings.Contains(f.File, secret) || strings.Contains(f.Rule, secret)) {
			return malformed("the name of the file or of the rule holds the secret")
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", commit, f.File, f.Rule, f.Line))
	f.Fingerprint = "sha256:" + hex.EncodeToString(sum[:])
	return s.find(f)
}

// minSecret is the length in bytes from which a text is looked for in names:
// "a" is in every name, and no secret.
const minSecret = 4

// TruffleHog reads what trufflehog --json prints with its log: 2>&1. The log is
// needed because without it no output at all may be a clean scan or a crash; it has the line
// "finished scanning", and in it the version.
//
// Each secret is a finding of its detector with file and line: of level
// "error" if trufflehog verified that the secret works, else "warning". What
// [Gitleaks] says about the secrets themselves holds here too.
//
// Refused: output without the line "finished scanning", and a secret without a detector.
// Errors in the log are counted in summary.toolErrors.
//
// A condition for it:
//
//	predicate.tools.exists(t, t.name == "trufflehog") && predicate.summary.error == 0
//	  && predicate.summary.warning == 0 && predicate.summary.toolErrors == 0
func TruffleHog(r io.Reader) (*predicate.Scan, error) {
	s, err := truffleHog(r)
	return s, wrap("trufflehog", err)
}

func truffleHog(r io.Reader) (*predicate.Scan, error) {
	in := newLines(r)
	s := newScan("trufflehog", sha256Digest(make([]byte, sha256.Size))) // set when all is read
	finished, version := false, ""
	for {
		line, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		// Progress and pictures in the log are for people.
		if len(line) == 0 || line[0] != '{' {
			continue
		}
		var e struct {
			// Of the log.
			Level   string `json:"level"`
			Msg     string `json:"msg"`
			Version string `json:"trufflehog_version"`
			// Of a secret.
			Source *struct {
				Data map[string]json.RawMessage `json:"Data"`
			} `json:"SourceMetadata"`
			Detector string `json:"DetectorName"`
			Verified bool   `json:"Verified"`
			Raw      string `json:"Raw"`
			RawV2    string `json:"RawV2"`
		}
		if err := decode(line, &e); err != nil {
			return nil, wrap(fmt.Sprintf("line %d", in.n), err)
		}
		if e.Source == nil && e.Detector == "" {
			if e.Level == "" {
				return nil, malformed("line %d: neither a secret nor a line of the log", in.n)
			}
			if e.Level == "error" {
				s.Summary.ToolErrors++
			}
			if e.Msg == "finished scanning" {
				finished, version = true, e.Version
			}
			continue
		}
		if e.Source == nil || e.Detector == "" {
			return nil, malformed("line %d: a secret without a source or a detector", in.n)
		}
		f := predicate.ScanFinding{Tool: "trufflehog", Rule: e.Detector, Level: predicate.LevelWarning}
		if e.Verified {
			f.Level = predicate.LevelError
		}
		if len(e.Source.Data) > 1 {
			return nil, malformed("line %d: a secret with %d sources", in.n, len(e.Source.Data))
		}
		commit := ""
		for _, data := range e.Source.Data { // of "Git", "Filesystem", …
			var at struct {
				File   string `json:"file"`
				Line   int    `json:"line"`
				Commit string `json:"commit"`
			}
			if err := decode(data, &at); err != nil {
				return nil, wrap(fmt.Sprintf("line %d", in.n), err)
			}
			f.File, f.Line, commit = at.File, at.Line, at.Commit
		}
		if err := s.leak(f, commit, e.Raw, e.RawV2); err != nil {
			return nil, wrap(fmt.Sprintf("line %d", in.n), err)
		}
	}
	if !finished {
		return nil, fail(ReasonIncomplete, `the log has no line "finished scanning"`)
	}
	s.Report.Digest[0] = in.digest()
	if err := s.tool(predicate.ScanTool{Name: "trufflehog", Version: version, URI: "https://github.com/trufflesecurity/trufflehog"}); err != nil {
		return nil, err
	}
	return s.done()
}
