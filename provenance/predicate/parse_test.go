package predicate

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
)

// good has one valid predicate of every type, with as many fields as it has.
var good = []struct {
	typ       string
	predicate string
}{
	{TypeSLSAProvenance, `{"buildDefinition":{"buildType":"https://example.com/build/v1",
		"externalParameters":{"workflow":{"ref":"refs/heads/main"}},"internalParameters":{"github":{"event_name":"push"}},
		"resolvedDependencies":[{"uri":"git+https://example.com/a","digest":{"gitCommit":"` + commit + `"}}]},
		"runDetails":{"builder":{"id":"https://example.com/b","version":{"go":"1.26"},"builderDependencies":[{"uri":"pkg:golang/x"}]},
		"metadata":{"invocationId":"1","startedOn":"2026-01-02T03:04:05Z","finishedOn":"2026-01-02T03:04:06.5Z"},
		"byproducts":[{"name":"log","content":"aGk="}]},"vendor_extension":{"x":1}}`},
	{TypeSLSAProvenanceV02, `{"builder":{"id":"https://example.com/b"},"buildType":"https://example.com/t",
		"invocation":{"configSource":{"uri":"git+https://example.com/a","digest":{"sha1":"` + commit + `"},"entryPoint":"ci.yml"},
		"parameters":{"p":"1"},"environment":{"e":"2"}},"buildConfig":{"steps":1},
		"metadata":{"buildInvocationId":"1","buildStartedOn":"2026-01-02T03:04:05Z","buildFinishedOn":"2026-01-02T03:04:05Z",
		"completeness":{"parameters":true,"environment":false,"materials":true},"reproducible":true},
		"materials":[{"uri":"git+https://example.com/a","digest":{"sha1":"` + commit + `"}},{"uri":"pkg:x/y","digest":{"sha256":"` + sha256B + `"}}]}`},
	{TypeSLSAProvenanceV01, `{"builder":{"id":"https://example.com/b"},"recipe":{"type":"https://example.com/t","definedInMaterial":0,
		"entryPoint":"make","arguments":{"a":"1"},"environment":{"e":"2"}},"metadata":{"buildInvocationId":"1",
		"buildStartedOn":"2026-01-02T03:04:05Z","completeness":{"arguments":true,"environment":false,"materials":true},"reproducible":false},
		"materials":[{"uri":"git+https://example.com/a","digest":{"sha1":"` + commit + `"}}]}`},
	{TypeLink, `{"name":"build","command":["go","build"],"materials":[{"name":"main.go","digest":{"sha256":"` + sha256B + `"}}],
		"byproducts":{"return-value":0,"stdout":""},"environment":{"variables":["A=1"]}}`},
	{TypeLinkV02, `{"name":"build","command":["go","build"],"materials":{"main.go":{"sha256":"` + sha256B + `"}},
		"byproducts":{"return-value":0},"environment":{}}`},
	{TypeVSA, `{"verifier":{"id":"https://example.com/v","version":{"v":"1"}},"timeVerified":"2026-01-02T03:04:05Z",
		"resourceUri":"pkg:x/y@1","policy":{"uri":"https://example.com/p","digest":{"sha256":"` + sha256B + `"}},
		"inputAttestations":[{"uri":"https://example.com/a","digest":{"sha256":"` + sha256B + `"}}],"verificationResult":"PASSED",
		"verifiedLevels":["SLSA_BUILD_LEVEL_3","SLSA_SOURCE_LEVEL_UNEVALUATED","SLSA_BUILD_REPRODUCED","ORG_X"],
		"dependencyLevels":{"SLSA_BUILD_LEVEL_2":3},"slsaVersion":"1.2"}`},
	{TypeVSAV02, `{"verifier":{"id":"https://example.com/v"},"time_verified":"2026-01-02T03:04:05Z","resource_uri":"pkg:x/y@1",
		"policy":{"uri":"https://example.com/p"},"input_attestations":[{"uri":"a","digest":{"sha256":"` + sha256B + `"}}],
		"verification_result":"PASSED","policy_level":"SLSA_LEVEL_3","dependency_levels":{"SLSA_LEVEL_2":1},"slsa_version":"0.2"}`},
	{TypeSVR, `{"verifier":{"id":"https://example.com/v","policies":[{"uri":"https://example.com/p"}]},
		"timeCreated":"2026-01-02T03:04:05Z","properties":["EXAMPLE_OK"]}`},
	{TypeSVRV01, `{"verifier":{"id":"https://example.com/v","policy":{"uri":"x"}},"timeCreated":"2026-01-02T03:04:05Z","properties":["EXAMPLE_OK"]}`},
	{TypeTestResult, `{"result":"WARNED","configuration":[{"name":"ci.yml","digest":{"gitBlob":"` + commit + `"}}],
		"url":"https://example.com/run/1","passedTests":["a"],"warnedTests":["b"],"failedTests":[]}`},
	{TypeVulns, `{"scanner":{"uri":"pkg:github/x/y","version":"1","db":{"uri":"u","version":"v","lastUpdate":"2026-01-01T00:00:00Z"},
		"result":[{"id":"CVE-1","severity":[{"method":"nvd","score":"low"}],"annotations":[{"k":1}]}]},
		"metadata":{"scanStartedOn":"2026-01-02T03:04:05Z","scanFinishedOn":"2026-01-02T03:04:06Z"}}`},
	{TypeVulnsV01, `{"invocation":{"parameters":[]},"scanner":{"uri":"pkg:github/x/y","db":{"lastUpdate":"2026-01-01T00:00:00Z"},
		"result":[{"vulnerability":{"id":"CVE-1","severity":[{"method":"nvd","score":"low"}]}},{"id":"CVE-2","severity":[{"method":"nvd","score":"low"}]}]},
		"metadata":{"scanStartedOn":"2026-01-02T03:04:05Z","scanFinishedOn":"2026-01-02T03:04:06Z"}}`},
	{TypeCosignVuln, `{"invocation":{"parameters":null,"uri":"","event_id":"","builder.id":""},"scanner":{"uri":"pkg:github/aquasecurity/trivy@0.50",
		"version":"0.50","db":{"uri":"","version":""},"result":{"SchemaVersion":2}},
		"metadata":{"scanStartedOn":"2026-01-02T03:04:05+09:00","scanFinishedOn":"2026-01-02T03:04:05.1+09:00"}}`},
	{TypeOpenVEX, `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"A","role":"r",
		"timestamp":"2026-01-02T03:04:05-06:00","last_updated":"2026-01-03T03:04:05-06:00","version":1,"tooling":"t","statements":[
		{"vulnerability":{"name":"CVE-1","aliases":["GHSA-1"]},"products":[{"@id":"pkg:x/y","subcomponents":[{"@id":"pkg:a/b"}]}],
		"status":"not_affected","justification":"component_not_present"},
		{"vulnerability":{"name":"CVE-2"},"status":"affected","action_statement":"update"}]}`},
	{TypeSCAI, `{"attributes":[{"attribute":"WITH_STACK_PROTECTION","target":{"uri":"u"},"conditions":{"flags":"-f"},
		"evidence":{"name":"n","digest":{"sha256":"` + sha256B + `"}}}],"producer":{"uri":"file:///usr/bin/gcc"}}`},
	{TypeRuntimeTrace, `{"monitor":{"type":"https://example.com/m","configSource":{},"tracePolicy":{"policies":1}},
		"monitoredProcess":{"hostID":"h","type":"t","event":"e"},"monitorLog":{"process":[{"processBinary":"/bin/sh"}],
		"network":[{"to":"x"}],"fileAccess":[{"name":"f","digest":{"sha256":"` + sha256B + `"}}]},
		"metadata":{"buildStartedOn":"2026-01-02T03:04:05Z","buildFinishedOn":"2026-01-02T03:04:06Z"}}`},
	{TypeReference, `{"attester":{"id":"https://example.com/a"},"references":[{"downloadLocation":"https://example.com/sbom",
		"mediaType":"application/spdx+json","digest":{"sha256":"` + sha256B + `"}}]}`},
	{TypeRelease, `{"purl":"pkg:npm/@angular/http@7.2.16","packageId":"1"}`},
	{TypeReleaseV01, `{"purl":"pkg:oci/my-image@sha256%3Afedc?repository_url=registry.example.com/p/i&tag=v1","releaseId":"1"}`},
	{TypeNPMPublish, `{"name":"semver","version":"7.5.4","registry":"https://registry.npmjs.org"}`},
	{TypeSourceProvenance, `{"prev_commit":"` + commit + `","repo_uri":"https://example.com/r","activity_type":"pr_merge","actor":"a",
		"branch":"refs/heads/main","created_on":"2026-01-02T03:04:05.123Z","controls":[{"name":"CONTINUITY_ENFORCED","since":"2025-01-02T03:04:05Z"}]}`},
	{TypeTagProvenance, `{"repo_uri":"https://example.com/r","actor":"a","tag":"refs/tags/v1","created_on":"2026-01-02T03:04:05Z",
		"controls":[{"name":"TAG_HYGIENE","since":"2025-01-02T03:04:05Z"}],"vsa_summaries":[{"source_refs":["refs/heads/main"],"verifiedLevels":["SLSA_SOURCE_LEVEL_2"]}]}`},
	{TypeWitnessCollection, `{"name":"build","attestations":[
		{"type":"https://witness.dev/attestations/material/v0.1","attestation":{"main.go":{"sha256":"` + sha256A + `","gitoid:sha1":"gitoid:blob:sha1:ce01"},
		"dir":{"dirHash":"h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}},"starttime":"2026-01-02T03:04:05+02:00","endtime":"2026-01-02T03:04:06+02:00"},
		{"type":"https://witness.dev/attestations/command-run/v0.1","attestation":{"cmd":["go","build"],"exitcode":0,"processes":[]},"starttime":"2026-01-02T03:04:06+02:00","endtime":"2026-01-02T03:04:09+02:00"},
		{"type":"https://witness.dev/attestations/product/v0.1","attestation":{"app":{"mime_type":"application/x-executable","digest":{"sha256":"` + sha256B + `"}}}},
		{"type":"https://witness.dev/attestations/git/v0.1","attestation":{"commithash":"` + commit + `","status":{"x":{"worktree":"modified"}}}},
		{"type":"https://witness.dev/attestations/environment/v0.1","attestation":{"os":"linux","variables":{"A":"1"}}},
		{"type":"https://example.com/unknown","attestation":{"any":"thing"}}]}`},
}

func goodPredicate(t testing.TB, typ string) string {
	t.Helper()
	if typ == TypeOpenVEXV020 {
		typ = TypeOpenVEX
	}
	for _, g := range good {
		if g.typ == typ {
			return g.predicate
		}
	}
	t.Fatalf("no good predicate of type %s", typ)
	return ""
}

func TestGood(t *testing.T) {
	for _, g := range good {
		t.Run(g.typ, func(t *testing.T) {
			st := stateRaw(t, g.typ, g.predicate)
			if err := Check(st); err != nil {
				t.Fatal(err)
			}
			flow, err := FlowOf(st)
			if err != nil {
				t.Fatal(err)
			}
			transforms := slices.Contains([]string{TypeSLSAProvenance, TypeSLSAProvenanceV02, TypeSLSAProvenanceV01,
				TypeLink, TypeLinkV02, TypeWitnessCollection}, g.typ)
			if flow.Transformation != transforms || transforms != (len(flow.Materials) > 0) {
				t.Errorf("flow is %+v", flow)
			}
			start, end, err := ClaimedTimes(st)
			if err != nil {
				t.Fatal(err)
			}
			timeless := slices.Contains([]string{TypeLink, TypeLinkV02, TypeTestResult, TypeSCAI, TypeReference,
				TypeRelease, TypeReleaseV01, TypeNPMPublish}, g.typ)
			if start.IsZero() != timeless {
				t.Errorf("claimed times are %v, %v", start, end)
			}
			if string(st.Predicate()) != g.predicate {
				t.Error("the bytes were not kept")
			}
		})
	}
}

// edit returns the predicate with every value that pick returns true for replaced, one at a time; path
// is that of the value, with lists' elements as "*".
func edit(t *testing.T, predicate string, visit func(path string, parent any, key string, value any) (replacements []any)) map[string]string {
	t.Helper()
	results := make(map[string]string)
	var root any
	if err := json.Unmarshal([]byte(predicate), &root); err != nil {
		t.Fatal(err)
	}
	save := func(what string) {
		b, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		results[what] = string(b)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range keys(v) {
				old := v[k]
				for i, r := range visit(path+"."+k, v, k, old) {
					v[k] = r
					save(fmt.Sprintf("%s.%s#%d", path, k, i))
				}
				v[k] = old
				walk(path+"."+k, old)
			}
		case []any:
			for i := range v {
				walk(path+"[]", v[i])
			}
		}
	}
	walk("", root)
	return results
}

func keys(m map[string]any) []string {
	var ks []string
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// free are the parts of predicates whose content is anybody's.
var free = []string{".externalParameters", ".internalParameters", ".conditions", ".tracePolicy", ".process[]", ".network[]",
	".byproducts.", ".environment.", ".buildConfig", ".parameters", ".annotations", ".vendor_extension", ".scanner.result.",
	".invocation.environment", ".recipe.arguments", ".recipe.environment", ".definedInMaterial", ".version.", ".variables", ".invocation", ".policy.", ".attestations[].attestation"}

func isFree(typ, path string) bool {
	if typ != TypeSVRV01 && strings.HasPrefix(path, ".policy") {
		return false
	}
	return slices.ContainsFunc(free, func(f string) bool { return strings.Contains(path+".", f) })
}

// TestEdge30_NullInLists puts null into every list of every predicate.
func TestEdge30_NullInLists(t *testing.T) {
	for _, g := range good {
		n := 0
		for what, doc := range edit(t, g.predicate, func(path string, _ any, _ string, v any) []any {
			list, ok := v.([]any)
			if !ok || isFree(g.typ, path) && !strings.Contains(path, "builderDependencies") {
				return nil
			}
			return []any{append(slices.Clone(list), nil), []any{nil}}
		}) {
			n++
			if err := Check(stateRaw(t, g.typ, doc)); err == nil {
				t.Errorf("%s: null in %s was accepted", g.typ, what)
			}
		}
		t.Logf("%s: %d", g.typ, n)
	}
	for _, doc := range []string{
		`{"buildDefinition":{"buildType":"b","resolvedDependencies":[null]},"runDetails":{"builder":{"id":"i"}}}`,
		`{"buildDefinition":{"buildType":"b","resolvedDependencies":[{}]},"runDetails":{"builder":{"id":"i"}}}`,
		`{"buildDefinition":{"buildType":"b","resolvedDependencies":[{"name":"n"}]},"runDetails":{"builder":{"id":"i"}}}`,
	} {
		if f, err := FlowOf(stateRaw(t, TypeSLSAProvenance, doc)); err == nil {
			t.Errorf("%s: got flow %+v", doc, f)
		}
	}
}

func TestWrongKinds(t *testing.T) {
	for _, g := range good {
		for what, doc := range edit(t, g.predicate, func(path string, _ any, k string, v any) []any {
			if isFree(g.typ, path) || k == "any" {
				return nil
			}
			if g.typ == TypeLinkV02 && k == "command" {
				return []any{7, true, []any{7}, map[string]any{"x": 1}} // one string is a command
			}
			switch v.(type) {
			case string:
				return []any{7, true, []any{"x"}, map[string]any{"x": 1}}
			case float64:
				return []any{"x", true, 1.5, []any{}, map[string]any{}}
			case bool:
				return []any{"true", 1, []any{}}
			case []any:
				return []any{"x", 7, map[string]any{"x": 1}}
			case map[string]any:
				return []any{"x", 7, []any{"x"}}
			}
			return nil
		}) {
			st := stateRaw(t, g.typ, doc)
			if err := Check(st); err == nil {
				t.Errorf("%s: wrong kind in %s was accepted:\n%s", g.typ, what, doc)
			}
		}
	}
}

// TestNameCase renames every field to a spelling that encoding/json folds into it.
func TestNameCase(t *testing.T) {
	for _, g := range good {
		var root map[string]any
		if err := json.Unmarshal([]byte(g.predicate), &root); err != nil {
			t.Fatal(err)
		}
		for name, value := range root {
			if isFree(g.typ, "."+name) {
				continue
			}
			delete(root, name)
			for _, other := range []string{strings.ToUpper(name[:len(name)-1]) + name[len(name)-1:], strings.ToUpper(name), strings.Replace(name, "s", "\u017f", 1)} {
				if other == name {
					continue
				}
				root[other] = value
				b, _ := json.Marshal(root)
				if err := Check(stateRaw(t, g.typ, string(b))); err == nil {
					t.Errorf("%s: %s was accepted for %s", g.typ, other, name)
				}
				delete(root, other)
			}
			root[name] = value
		}
	}
	for _, doc := range []string{
		`{"buildDefinition":{"buildType":"b","ResolvedDependencies":[]},"runDetails":{"builder":{"id":"i"}}}`,
		`{"BuildDefinition":{},"buildDefinition":{"buildType":"b"},"runDetails":{"builder":{"id":"i"}}}`,
		`{"buildDefinition":{"buildType":"b"},"runDetails":{"Builder":{},"builder":{"id":"i"}}}`,
		`{"buildDefinition":{"buildType":"b"},"runDetails":{"builder":{"id":"i","ID":"j"}}}`,
	} {
		_, err := FlowOf(stateRaw(t, TypeSLSAProvenance, doc))
		wantError(t, err, "by case only")
	}
	for _, doc := range []string{`{"name":"n","Materials":[]}`, `{"name":"n","Name":"m"}`} {
		_, err := FlowOf(stateRaw(t, TypeLink, doc))
		wantError(t, err, "by case only")
	}
	_, _, err := ClaimedTimes(stateRaw(t, TypeSLSAProvenance, `{"runDetails":{"metadata":{"startedOn":"2026-01-02T03:04:05Z","StartedOn":"2020-01-02T03:04:05Z"}}}`))
	wantError(t, err, "by case only")
}

// TestEdge23_PredicateKinds: a predicate that is absent or null is {}, in which the required fields are missing; one of
// another kind is refused.
func TestEdge23_PredicateKinds(t *testing.T) {
	for _, g := range good {
		for _, p := range []string{`null`, `{}`} {
			if err := Check(stateRaw(t, g.typ, p)); err == nil {
				t.Errorf("%s: predicate %s was accepted", g.typ, p)
			}
		}
	}
	if err := Check(stateRaw(t, TypePyPIPublish, `null`)); err != nil {
		t.Error(err) // the one whose predicate is empty
	}
	parsers := map[string]func([]byte) error{
		"slsa":    func(b []byte) error { return check(ParseSLSAProvenance(b)) },
		"link":    func(b []byte) error { return check(ParseLink(b)) },
		"vsa":     func(b []byte) error { return check(ParseVSA(b)) },
		"test":    func(b []byte) error { return check(ParseTestResult(b)) },
		"classic": func(b []byte) error { return check(ParseClassicLink(b)) },
		"witness": func(b []byte) error { return check(ParseWitnessCollection(b)) },
	}
	for name, parse := range parsers {
		for _, in := range []string{``, ` `, `null`, `"{}"`, `[]`, `[{}]`, `7`, `true`, `{}{}`, `{"name":"a"} x`, "\ufeff{}"} {
			if err := parse([]byte(in)); err == nil {
				t.Errorf("%s: %q was accepted", name, in)
			} else {
				wantError(t, err, "")
			}
		}
	}
}

// TestRequired removes or spoils what each type needs.
func TestRequired(t *testing.T) {
	required := map[string][]string{
		TypeSLSAProvenance:    {"buildDefinition", "buildDefinition.buildType", "buildDefinition.externalParameters", "runDetails", "runDetails.builder", "runDetails.builder.id"},
		TypeSLSAProvenanceV02: {"builder", "builder.id", "buildType"},
		TypeSLSAProvenanceV01: {"builder", "builder.id", "recipe", "recipe.type"},
		TypeLink:              {"name"},
		TypeLinkV02:           {"name"},
		TypeVSA:               {"verifier", "verifier.id", "resourceUri", "policy", "policy.uri", "verificationResult", "verifiedLevels"},
		TypeVSAV02:            {"verifier", "verifier.id", "resource_uri", "policy", "policy.uri", "verification_result", "policy_level", "time_verified"},
		TypeSVR:               {"verifier", "verifier.id", "verifier.policies", "timeCreated", "properties"},
		TypeSVRV01:            {"verifier", "verifier.id", "timeCreated", "properties"},
		TypeTestResult:        {"result", "configuration"},
		TypeVulns:             {"scanner", "scanner.uri", "scanner.db", "scanner.db.lastUpdate", "scanner.result", "metadata", "metadata.scanStartedOn", "metadata.scanFinishedOn"},
		TypeVulnsV01:          {"scanner", "scanner.uri", "scanner.db", "scanner.result", "metadata"},
		TypeCosignVuln:        {"scanner", "scanner.uri", "scanner.result"},
		TypeOpenVEX:           {"@context", "@id", "author", "timestamp", "version", "statements"},
		TypeSCAI:              {"attributes"},
		TypeRuntimeTrace:      {"monitor", "monitor.type", "monitoredProcess", "monitoredProcess.hostID", "monitoredProcess.type", "monitoredProcess.event", "monitorLog"},
		TypeReference:         {"attester", "attester.id", "references"},
		TypeRelease:           {"purl"},
		TypeReleaseV01:        {"purl"},
		TypeNPMPublish:        {"name", "version", "registry"},
		TypeSourceProvenance:  {"repo_uri", "actor", "branch", "created_on"},
		TypeTagProvenance:     {"repo_uri", "actor", "tag", "created_on"},
		TypeWitnessCollection: {"name"},
	}
	for _, g := range good {
		if len(required[g.typ]) == 0 {
			t.Errorf("%s: nothing is required", g.typ)
		}
		for _, path := range required[g.typ] {
			// Unset, null and empty are the same.
			for _, spoil := range []string{"unset", "null", "empty"} {
				var root map[string]any
				if err := json.Unmarshal([]byte(g.predicate), &root); err != nil {
					t.Fatal(err)
				}
				m := root
				names := strings.Split(path, ".")
				for _, n := range names[:len(names)-1] {
					m = m[n].(map[string]any)
				}
				last := names[len(names)-1]
				old, ok := m[last]
				if !ok {
					t.Fatalf("%s: no %s", g.typ, path)
				}
				switch old.(type) {
				case string:
					m[last] = ""
				case []any:
					m[last] = []any{}
				case map[string]any:
					m[last] = map[string]any{}
				case float64:
					m[last] = 0
				}
				switch spoil {
				case "unset":
					delete(m, last)
				case "null":
					m[last] = nil
				case "empty":
					if last == "policies" || g.typ != TypeCosignVuln && last == "result" && path != "result" {
						continue // lists that say something when they are empty
					}
				}
				b, _ := json.Marshal(root)
				if err := Check(stateRaw(t, g.typ, string(b))); err == nil {
					t.Errorf("%s: accepted with %s %s", g.typ, path, spoil)
				} else {
					wantError(t, err, "")
				}
			}
		}
	}
}

// TestBad has what is wrong in ways of each type's own.
func TestBad(t *testing.T) {
	for _, c := range []struct{ typ, old, new, want string }{
		{TypeSLSAProvenance, `2026-01-02T03:04:05Z`, `2026-01-02T03:04:07Z`, "before"},
		{TypeSLSAProvenance, `2026-01-02T03:04:05Z`, `2026-01-02T03:04:05+00:00`, "UTC"},
		{TypeSLSAProvenance, `2026-01-02T03:04:05Z`, `2026-01-02T3:04:05Z`, "RFC 3339"},
		{TypeSLSAProvenance, `2026-01-02T03:04:05Z`, `2026-01-02 03:04:05Z`, "RFC 3339"},
		{TypeSLSAProvenance, `2026-01-02T03:04:05Z`, `2026-13-02T03:04:05Z`, "RFC 3339"},
		{TypeSLSAProvenance, `2026-01-02T03:04:05Z`, `1700000000`, "RFC 3339"},
		{TypeSLSAProvenance, `"gitCommit"`, `"sha256"`, "wrong length"},
		{TypeSLSAProvenance, `{"name":"log","content":"aGk="}`, `{"name":"log"}`, "at least one"},
		{TypeSLSAProvenance, `{"uri":"pkg:golang/x"}`, `{"uri":"","digest":{}}`, "at least one"},
		{TypeSLSAProvenance, `"aGk="`, `"aGk=\n"`, "content"},
		{TypeSLSAProvenanceV01, `"definedInMaterial":0`, `"definedInMaterial":1`, "definedInMaterial"},
		{TypeSLSAProvenanceV01, `"definedInMaterial":0`, `"definedInMaterial":-1`, "definedInMaterial"},
		{TypeSLSAProvenanceV01, `"definedInMaterial":0`, `"definedInMaterial":0.5`, "integer"},
		{TypeSLSAProvenanceV01, `"definedInMaterial":0`, `"definedInMaterial":"first"`, "definedInMaterial"},
		{TypeSLSAProvenanceV01, `"arguments":{"a":"1"}`, `"arguments":["a"]`, "array"},
		{TypeLink, `"name":"main.go"`, `"uri":"main.go"`, "name and a digest"},
		{TypeLink, `"digest":{"sha256":"` + sha256B + `"}`, `"uri":"u"`, "name and a digest"},
		{TypeLink, `[{"name":"main.go"`, `[{"name":"main.go","digest":{"sha256":"` + sha256A + `"}},{"name":"main.go"`, "a second"},
		{TypeLinkV02, `{"sha256":"` + sha256B + `"}`, `{}`, "name and a digest"},
		{TypeLinkV02, `{"sha256":"` + sha256B + `"}`, `null`, "name and a digest"},
		{TypeLinkV02, `"main.go"`, `""`, "name and a digest"},
		{TypeVSA, `"verifiedLevels":["SLSA_BUILD_LEVEL_3"`, `"verifiedLevels":["SLSA_BUILD_LEVEL_3","SLSA_BUILD_LEVEL_2"`, "two levels of one track"},
		{TypeVSA, `"verifiedLevels":["SLSA_BUILD_LEVEL_3"`, `"verifiedLevels":["SLSA_BUILD_LEVEL_3","SLSA_BUILD_LEVEL_3"`, "two levels of one track"},
		{TypeVSA, `"verifiedLevels":["SLSA_BUILD_LEVEL_3"`, `"verifiedLevels":["SLSA_SOURCE_LEVEL_3"`, "two levels of one track"},
		{TypeVSA, `"ORG_X"`, `"FAILED"`, "FAILED"},
		{TypeVSA, `"ORG_X"`, `""`, "empty entry"},
		{TypeVSA, `SLSA_BUILD_LEVEL_3`, `SLSA_BUILD_LEVEL_03`, "want a number"},
		{TypeVSA, `SLSA_BUILD_LEVEL_3`, `SLSA_BUILD_LEVEL_`, "want a number"},
		{TypeVSA, `SLSA_BUILD_LEVEL_3`, `SLSA_BUILD_LEVEL_-1`, "want a number"},
		{TypeVSA, `SLSA_BUILD_LEVEL_3`, `SLSA_build_LEVEL_3`, "capital"},
		{TypeVSA, `SLSA_BUILD_LEVEL_3`, `SLSA__LEVEL_3`, "no track"},
		{TypeVSA, `"PASSED"`, `"passed"`, "PASSED or FAILED"},
		{TypeVSA, `"PASSED"`, `"WARNED"`, "PASSED or FAILED"},
		{TypeVSA, `"PASSED","`, `"FAILED","`, ""},
		{TypeVSA, `{"uri":"https://example.com/a","digest":{"sha256":"` + sha256B + `"}}`, `{"uri":"https://example.com/a"}`, "want a digest"},
		{TypeVSA, `{"SLSA_BUILD_LEVEL_2":3}`, `{"SLSA_BUILD_LEVEL_2":-3}`, "count"},
		{TypeVSA, `{"SLSA_BUILD_LEVEL_2":3}`, `{"SLSA_BUILD_LEVEL_X":3}`, "want a number"},
		{TypeVSA, `timeVerified":"2026-01-02T03:04:05Z`, `timeVerified":"2026-01-02T03:04:05-01:00`, "UTC"},
		{TypeSVR, `"EXAMPLE_OK"`, `""`, "is empty"},
		{TypeSVR, `{"uri":"https://example.com/p"}`, `{"name":"p"}`, "at least one"},
		{TypeTestResult, `"WARNED"`, `"OK"`, "PASSED, WARNED or FAILED"},
		{TypeTestResult, `"WARNED"`, `"warned"`, "PASSED, WARNED or FAILED"},
		{TypeTestResult, `"failedTests":[]`, `"failedTests":["c"]`, "1 tests failed"},
		{TypeVulns, `"id":"CVE-1"`, `"id":""`, "id is required"},
		{TypeVulns, `"method":"nvd"`, `"method":""`, "method and score"},
		{TypeVulns, `[{"method":"nvd","score":"low"}]`, `[]`, "severity is required"},
		{TypeVulns, `"score":"low"`, `"score":5.2`, "score"},
		{TypeVulns, `2026-01-02T03:04:06Z`, `2026-01-02T03:04:04Z`, "before"},
		{TypeVulnsV01, `{"vulnerability"`, `{"id":"CVE-3","vulnerability"`, "an id and a vulnerability"},
		{TypeCosignVuln, `2026-01-02T03:04:05.1+09:00`, `2026-01-02T03:04:05.1+10:00`, "before"},
		{TypeOpenVEX, `"justification":"component_not_present"`, `"status_notes":"x"`, "justification or an impact_statement"},
		{TypeOpenVEX, `"component_not_present"`, `"because"`, "is not one of"},
		{TypeOpenVEX, `"action_statement":"update"`, `"status_notes":"x"`, "action_statement"},
		{TypeOpenVEX, `"affected"`, `"unaffected"`, "found \"unaffected\""},
		{TypeOpenVEX, `"name":"CVE-2"`, `"name":""`, "vulnerability.name"},
		{TypeOpenVEX, `"vulnerability":{"name":"CVE-2"}`, `"vulnerability":"CVE-2"`, "vulnerability"},
		{TypeOpenVEX, `ns/v0.2.0`, `ns/v0.3.0`, "@context"},
		{TypeOpenVEX, `{"@id":"pkg:x/y",`, `{`, "products[0]"},
		{TypeSCAI, `"target":{"uri":"u"}`, `"target":{"name":"u"}`, "at least one"},
		{TypeSCAI, `"WITH_STACK_PROTECTION"`, `""`, "attribute is required"},
		{TypeRuntimeTrace, `{"name":"f","digest":{"sha256":"` + sha256B + `"}}`, `{"name":"f"}`, "at least one"},
		{TypeReference, `"mediaType":"application/spdx+json",`, ``, "mediaType"},
		{TypeReference, `"downloadLocation":"https://example.com/sbom",`, ``, "downloadLocation"},
		{TypeReference, `,"digest":{"sha256":"` + sha256B + `"}`, ``, "at least one"},
		{TypeRelease, `@7.2.16`, ``, "version"},
		{TypeRelease, `7.2.16`, ``, "version"},
		{TypeRelease, `@7.2.16`, `?x=@1`, "version"},
		{TypeRelease, `pkg:npm/@angular/http@`, `pkg:npm@`, "pkg:type/name"},
		{TypeRelease, `pkg:npm`, `npm`, "pkg:type/name"},
		{TypeReleaseV01, `"releaseId":"1"`, `"releaseId":"1","packageId":"2"`, "differ"},
		{TypeSourceProvenance, `[{"name"`, `[{"name":"CONTINUITY_ENFORCED","since":"2020-01-02T03:04:05Z"},{"name"`, "a second control"},
		{TypeSourceProvenance, `"since":"2025-01-02T03:04:05Z"`, `"since":""`, "since is required"},
		{TypeWitnessCollection, `"exitcode":0,`, ``, "exitcode"},
		{TypeWitnessCollection, `"exitcode":0`, `"exitcode":null`, "exitcode"},
		{TypeWitnessCollection, `"exitcode":0`, `"exitcode":1,"ExitCode":0`, "by case only"},
		{TypeWitnessCollection, `{"sha256":"` + sha256B + `"}`, `{}`, "name and a digest"},
		{TypeWitnessCollection, `AAA="`, `AA="`, "dirHash"},
		{TypeWitnessCollection, `"type":"https://example.com/unknown"`, `"type":""`, "type is required"},
		{TypeWitnessCollection, `"endtime":"2026-01-02T03:04:09+02:00"`, `"endtime":"2026-01-02T03:04:05+02:00"`, "before"},
	} {
		g := goodPredicate(t, c.typ)
		doc := strings.Replace(g, c.old, c.new, 1)
		if doc == g {
			if c.want != "" {
				t.Errorf("%s: no %s", c.typ, c.old)
			}
			continue
		}
		t.Run(c.typ+"/"+c.want, func(t *testing.T) {
			wantError(t, Check(stateRaw(t, c.typ, doc)), c.want)
		})
	}
}

// TestEdge18_ShapeOfAnotherType: the predicate type decides, whatever the predicate looks like.
func TestEdge18_ShapeOfAnotherType(t *testing.T) {
	for _, typ := range []string{"https://slsa.dev/provenance/v1.0", "https://slsa.dev/provenance/v1/", "https://slsa.dev/provenance/v1?x",
		"http://slsa.dev/provenance/v1", "HTTPS://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v1 ", "https://slsa.dev/provenance/v", TypeTestResult} {
		st := stateRaw(t, typ, goodPredicate(t, TypeSLSAProvenance))
		if flow, err := FlowOf(st); err != nil || flow.Transformation {
			t.Errorf("%s: flow is %+v, %v", typ, flow, err)
		}
		if p, err := ParseProvenance(st); err == nil {
			t.Errorf("%s: was read as %+v", typ, p)
		}
	}
}

func TestIsSBOM(t *testing.T) {
	for _, typ := range []string{TypeSPDX, TypeSPDXV23, TypeSPDX3, TypeCycloneDX, "https://cyclonedx.org/bom/v1.4", "https://cyclonedx.org/bom/v1.6"} {
		if !IsSBOM(typ) {
			t.Errorf("%s is no SBOM", typ)
		}
	}
	for _, typ := range []string{"", "https://spdx.dev/Document/", "https://spdx.dev/document", "https://cyclonedx.org/bom/v1", "https://cyclonedx.org/bomb", TypeSLSAProvenance} {
		if IsSBOM(typ) {
			t.Errorf("%s is an SBOM", typ)
		}
	}
}

func FuzzParse(f *testing.F) {
	for i, g := range good {
		f.Add(uint8(i), []byte(g.predicate))
		f.Add(uint8(i), []byte(`{}`))
	}
	f.Add(uint8(0), []byte(`{"buildDefinition":null,"runDetails":{"builder":null}}`))
	f.Add(uint8(3), []byte(`{"_type":"link","name":"n","materials":{},"products":{"a":{"sha256":"`+sha256A+`"}}}`))
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		// On bytes, which need not be an object.
		for _, parse := range []func([]byte) error{
			func(b []byte) error { return check(ParseSLSAProvenance(b)) },
			func(b []byte) error { return check(ParseLink(b)) },
			func(b []byte) error { return check(ParseVulnsV01(b)) },
			func(b []byte) error { return check(ParseWitnessCollection(b)) },
			func(b []byte) error {
				c, err := ParseClassicLink(b)
				if err != nil {
					return err
				}
				l, products, err := c.Link()
				if err != nil {
					t.Errorf("a classic link that was read does not convert: %v", err)
				} else if len(products) > 0 {
					if _, err := l.Classic(products); err != nil {
						t.Errorf("a classic link does not convert back: %v", err)
					}
				}
				return nil
			},
		} {
			if err := parse(b); err != nil {
				if _, ok := err.(*provenance.FormatError); !ok {
					t.Errorf("error %v is a %T", err, err)
				}
			}
		}
		typ := good[int(n)%len(good)].typ
		st, err := provenance.ParseStatement([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"` +
			sha256A + `"}}],"predicateType":"` + typ + `","predicate":` + string(b) + `}`))
		if err != nil {
			return
		}
		if st.PredicateType() != typ {
			return // the input closed the predicate and said something else
		}
		checkErr := Check(st)
		flow, flowErr := FlowOf(st)
		_, _, timesErr := ClaimedTimes(st)
		if checkErr == nil && flowErr != nil {
			t.Errorf("passes Check, but has no flow: %v", flowErr)
		}
		if checkErr == nil && timesErr != nil {
			t.Errorf("passes Check, but has no times: %v", timesErr)
		}
		if checkErr == nil && typ == TypeSLSAProvenance {
			p, err := ParseProvenance(st)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.BuildDefinition.ResolvedDependencies) != len(flow.Materials) {
				t.Errorf("%d dependencies, but %d materials", len(p.BuildDefinition.ResolvedDependencies), len(flow.Materials))
			}
			GitHubBuildOf(&p.SLSAProvenance)
		}
		for _, err := range []error{checkErr, flowErr, timesErr} {
			if err == nil {
				continue
			}
			if _, ok := err.(*provenance.FormatError); !ok {
				t.Errorf("error %v is a %T", err, err)
			}
		}
	})
}

func readShared(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../../shared/data/" + path)
	if os.IsNotExist(err) {
		t.Skip("no shared data")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}
