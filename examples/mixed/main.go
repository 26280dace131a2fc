// Command mixed makes a chain of evidence as six tools would leave it, and
// judges it by one policy (policy.yaml):
//
//	source   a source VSA                            about the commit
//	build    GitHub's provenance, SLSA v1            commit  -> program
//	package  a classic in-toto link, as a statement  program -> archive
//	test     a JUnit report                          about the commit
//	scan     cosign's vulnerability record           about the program
//	contents our SBOM, CycloneDX                     about the program
//
// Each tool has a key of its own, made for this run; whoever packs also states the
// contents. A classic link is signed in a format that is no attestation, so the
// packager states what its link says as an attestation (predicate.ClassicLink).
//
//	mixed                      the verdict
//	mixed -o DIR               and leave archive, evidence and policy for examples/verify
//	mixed -without scan        what happens when a piece of evidence is missing
//	mixed -json                the report as JSON and nothing else
//
// It exits with 0 if the archive passes, 1 if it is refused, and 2 if it cannot
// be judged.
package main

import (
	"context"
	"crypto"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/ingest"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
	"github.com/hallmark-build/hallmark/verify/report"
)

//go:embed policy.yaml
var policyYAML []byte

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

// The stages in the order of their work, and what a tool leaves for each.
var stages = []struct{ name, what string }{
	{"source", "a source VSA about the commit"},
	{"test", "JUnit's report about the commit"},
	{"build", "GitHub's provenance, commit to program"},
	{"scan", "cosign's vulnerability record about the program"},
	{"contents", "our SBOM about the program"},
	{"package", "a classic link, program to archive"},
}

func run(args []string, out io.Writer) int {
	ctx, cancel := cli.Context()
	defer cancel()
	var names []string
	for _, s := range stages {
		names = append(names, s.name)
	}
	flags := flag.NewFlagSet("mixed", flag.ContinueOnError)
	dir := flags.String("o", "", "leave archive, evidence and policy in this folder")
	without := flags.String("without", "", "leave out the evidence of a stage: "+strings.Join(names, ", "))
	asJSON := flags.Bool("json", false, "print the report as JSON and nothing else")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: mixed [flags]\n\n"+
			"Makes evidence in six dialects and judges it by one policy.\n"+
			"Exit codes: 0 passed, 1 refused, 2 cannot judge.\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return cli.OK
		}
		return cli.Cannot
	}
	if flags.NArg() > 0 {
		flags.Usage()
		return cli.Cannot
	}
	if *without != "" && !slices.Contains(names, *without) {
		return cli.Fail("mixed", fmt.Errorf("-without: want one of %s, found %q", strings.Join(names, ", "), *without))
	}
	options := report.Options{}
	if f, ok := out.(*os.File); ok {
		options.Color = cli.Color(f)
	}
	rep, err := mix(ctx, *dir, *without, func(format string, args ...any) {
		if !*asJSON {
			fmt.Fprintf(out, format, args...)
		}
	}, cli.Paint(options.Color))
	if err != nil {
		return cli.Fail("mixed", err)
	}
	render := report.Text
	if *asJSON {
		render = report.JSON
	}
	if err := render(out, rep, options); err != nil {
		return cli.Fail("mixed", err)
	}
	if !rep.Passed {
		return cli.Refused
	}
	return cli.OK
}

// mix makes the chain, says what it is made of, and judges it.
func mix(ctx context.Context, dir, without string, say func(string, ...any), paint cli.Paint) (*verify.Report, error) {
	c, _, err := makeChain(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	delete(c.evidence, without)
	for _, s := range stages {
		size := "left out"
		if e, ok := c.evidence[s.name]; ok {
			size = cli.Bytes(int64(len(e)))
		}
		say("  %s  %-58s %s\n", paint.Bold(fmt.Sprintf("%-8s", s.name)), s.what, paint.Dim(fmt.Sprintf("%8s", size)))
	}
	say("\n")
	if dir != "" {
		if err := c.write(dir); err != nil {
			return nil, err
		}
		say("  %s holds app.tar.gz, its evidence and the policy:\n  go run ./examples/verify -policy %[2]s -evidence %[3]s %[4]s\n\n", dir,
			filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "app.intoto.jsonl"), filepath.Join(dir, "app.tar.gz"))
	}
	return c.judge(ctx)
}

// The artifacts of the chain.
var (
	program = []byte("\x7fELF, as it were")
	archive = []byte("app and its licence, in a tar archive, as it were")
	commit  = provenance.MustDigest("gitCommit:c27d339ee6075c1f744c5d4b200f7901aad2c369")
)

// chain is what the tools leave behind.
type chain struct {
	at       time.Time
	archive  provenance.Artifact
	policy   *verify.Policy
	evidence map[string][]byte // by stage
}

// makeChain makes the evidence, and returns the signers by the names of their principals.
func makeChain(ctx context.Context, at time.Time) (*chain, map[string]sign.Signer, error) {
	policy, err := verify.ParsePolicy("policy.yaml", policyYAML)
	if err != nil {
		return nil, nil, err
	}
	c := &chain{at: at.UTC().Truncate(time.Second), policy: policy, evidence: map[string][]byte{}}
	if c.archive, err = provenance.DigestReader(ctx, "app.tar.gz", strings.NewReader(string(archive))); err != nil {
		return nil, nil, err
	}
	app, err := provenance.DigestReader(ctx, "app", strings.NewReader(string(program)))
	if err != nil {
		return nil, nil, err
	}
	source := provenance.ResourceDescriptor{
		URI: "git+https://github.com/octocat/app@refs/heads/main", Digest: provenance.DigestSet{commit},
	}
	policy.Principals = map[string]verify.Principals{}
	signers := map[string]sign.Signer{}
	for stage, by := range map[string]struct {
		signer string
		state  func() (*provenance.Statement, error)
	}{
		"source":   {"source-verifier", func() (*provenance.Statement, error) { return c.sourceVSA(source) }},
		"build":    {"github", func() (*provenance.Statement, error) { return c.build(source, app) }},
		"package":  {"packager", func() (*provenance.Statement, error) { return c.pack(app) }},
		"test":     {"tester", func() (*provenance.Statement, error) { return c.test(source) }},
		"scan":     {"scanner", func() (*provenance.Statement, error) { return c.scan(app) }},
		"contents": {"packager", func() (*provenance.Statement, error) { return c.contents(app) }},
	} {
		st, err := by.state()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", stage, err)
		}
		if signers[by.signer] == nil {
			if signers[by.signer], policy.Principals[by.signer], err = newPrincipal(); err != nil {
				return nil, nil, err
			}
		}
		if c.evidence[stage], err = sign.Statement(ctx, st, signers[by.signer]); err != nil {
			return nil, nil, err
		}
	}
	return c, signers, nil
}

// sourceVSA: a verifier found the commit to be of source level 3.
func (c *chain) sourceVSA(source provenance.ResourceDescriptor) (*provenance.Statement, error) {
	vsa := &predicate.VSA{
		Verifier:           predicate.Verifier{ID: "https://source.example.com/verifier"},
		TimeVerified:       predicate.At(c.at),
		ResourceURI:        "git+https://github.com/octocat/app",
		Policy:             provenance.ResourceDescriptor{URI: "https://source.example.com/policy", Digest: provenance.DigestSet{provenance.MustDigest("sha256:fe4fe40ac7250263c5dbe1cf3138912f3f416140aa248637a60d65fe22c47da4")}},
		VerificationResult: predicate.Passed,
		VerifiedLevels:     []string{"SLSA_SOURCE_LEVEL_3"},
		SLSAVersion:        "1.2",
	}
	source.Annotations = map[string]any{"sourceRefs": []string{"refs/heads/main"}}
	return vsa.Statement([]provenance.ResourceDescriptor{source})
}

// build: provenance as GitHub's artifact attestations have it.
func (c *chain) build(source provenance.ResourceDescriptor, app provenance.Artifact) (*provenance.Statement, error) {
	workflow := &predicate.GitHubBuild{
		Workflow: predicate.GitHubWorkflow{Ref: "refs/heads/main", Repository: "https://github.com/octocat/app", Path: ".github/workflows/release.yml"},
		GitHub:   predicate.GitHubContext{EventName: "push", RepositoryID: "1296269", RepositoryOwnerID: "583231", RunnerEnvironment: "github-hosted"},
	}
	external, internal, err := workflow.Parameters(predicate.BuildTypeGitHubWorkflow)
	if err != nil {
		return nil, err
	}
	p := &predicate.SLSAProvenance{
		BuildDefinition: predicate.BuildDefinition{
			BuildType: predicate.BuildTypeGitHubWorkflow, ExternalParameters: external, InternalParameters: internal,
			ResolvedDependencies: []provenance.ResourceDescriptor{source},
		},
		RunDetails: predicate.RunDetails{
			Builder:  predicate.Builder{ID: "https://github.com/octocat/app/.github/workflows/release.yml@refs/heads/main"},
			Metadata: predicate.BuildMetadata{InvocationID: "https://github.com/octocat/app/actions/runs/1/attempts/1"},
		},
	}
	return p.Statement([]provenance.ResourceDescriptor{app.Descriptor()})
}

// pack: the "signed" of a classic link, as in-toto-run writes it, becomes a statement.
func (c *chain) pack(app provenance.Artifact) (*provenance.Statement, error) {
	signed, err := json.Marshal(map[string]any{
		"_type": "link", "name": "package", "command": []string{"tar", "czf", "app.tar.gz", "app"},
		"materials":   map[string]any{app.Name: app.Digests},
		"products":    map[string]any{c.archive.Name: c.archive.Digests},
		"byproducts":  map[string]any{"return-value": 0, "stdout": "", "stderr": ""},
		"environment": map[string]any{},
	})
	if err != nil {
		return nil, err
	}
	classic, err := predicate.ParseClassicLink(signed)
	if err != nil {
		return nil, err
	}
	link, products, err := classic.Link()
	if err != nil {
		return nil, err
	}
	return link.Statement(products)
}

// test: what the build tool's test runner wrote.
func (c *chain) test(source provenance.ResourceDescriptor) (*provenance.Statement, error) {
	result, err := ingest.JUnit(strings.NewReader(`<testsuite name="com.example.StoreTest" tests="2" failures="0" errors="0">
		<testcase name="opens" classname="com.example.StoreTest" time="0.02"/>
		<testcase name="closes" classname="com.example.StoreTest" time="0.01"/>
	</testsuite>`))
	if err != nil {
		return nil, err
	}
	return result.Statement([]provenance.ResourceDescriptor{source})
}

// scan: as "cosign attest --type vuln" makes it of trivy's report.
func (c *chain) scan(app provenance.Artifact) (*provenance.Statement, error) {
	vuln := &predicate.CosignVuln{
		Metadata: predicate.VulnMetadata{ScanStartedOn: predicate.At(c.at), ScanFinishedOn: predicate.At(c.at)},
	}
	vuln.Scanner.URI, vuln.Scanner.Version = "pkg:github/aquasecurity/trivy@0.67.2", "0.67.2"
	err := json.Unmarshal([]byte(`{"SchemaVersion": 2, "ArtifactName": "app", "Results": [{"Target": "app", "Class": "lang-pkgs", "Type": "gobinary",
		"Vulnerabilities": [{"VulnerabilityID": "CVE-2026-0001", "PkgName": "golang.org/x/net", "InstalledVersion": "v0.50.0",
			"PkgIdentifier": {"PURL": "pkg:golang/golang.org/x/net@v0.50.0"}, "Severity": "LOW"}]}]}`), &vuln.Scanner.Result)
	if err != nil {
		return nil, err
	}
	return vuln.Statement([]provenance.ResourceDescriptor{app.Descriptor()})
}

// contents: the program and the module in it.
func (c *chain) contents(app provenance.Artifact) (*provenance.Statement, error) {
	var g sbom.Graph
	g.Creation = sbom.Creation{Created: c.at, Tool: sbom.Tool{Name: "mixed"}}
	root := g.Add(sbom.Component{Type: sbom.Application, Name: "app", Digests: app.Digests})
	module := g.Add(sbom.Component{Name: "golang.org/x/net", Version: "v0.50.0", PURL: "pkg:golang/golang.org/x/net@v0.50.0"})
	if err := g.Relate(root, sbom.DependsOn, module); err != nil {
		return nil, err
	}
	doc, err := g.Encode(sbom.CycloneDX)
	if err != nil {
		return nil, err
	}
	return sbom.Statement([]provenance.ResourceDescriptor{app.Descriptor()}, doc, sbom.CycloneDX)
}

// judge is what a consumer does, with nothing but the archive, the evidence and the policy.
func (c *chain) judge(ctx context.Context) (*verify.Report, error) {
	verifier, err := verify.New(c.policy, verify.Options{Conditions: cel.Compiler{}})
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, envelope := range c.evidence {
		all = append(all, envelope)
	}
	proof, err := verifier.Verify(ctx, verify.Request{Artifacts: []provenance.Artifact{c.archive}, Evidence: verify.NewEvidence(all...), At: c.at})
	if refused, ok := errors.AsType[*verify.RefusedError](err); ok {
		return refused.Report, nil
	}
	if err != nil {
		return nil, err
	}
	return proof.Report(), nil
}

// write leaves everything in a folder.
func (c *chain) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	policy, err := c.policy.YAML()
	if err != nil {
		return err
	}
	var all [][]byte
	for _, s := range stages {
		if e, ok := c.evidence[s.name]; ok {
			all = append(all, e)
		}
	}
	return errors.Join(
		atomicfile.WriteFile(filepath.Join(dir, "app.tar.gz"), archive, 0o644),
		atomicfile.WriteFile(filepath.Join(dir, "policy.yaml"), policy, 0o644),
		sign.WriteBundle(filepath.Join(dir, "app.intoto.jsonl"), all...))
}

// newPrincipal makes a key, and says how a policy knows who has it.
func newPrincipal() (sign.Signer, verify.Principals, error) {
	key, err := sign.GenerateKey("")
	if err != nil {
		return nil, verify.Principals{}, err
	}
	signer, err := sign.NewSigner(key, "")
	if err != nil {
		return nil, verify.Principals{}, err
	}
	public, err := publicPEM(key.Public())
	return signer, verify.Principals{Key: public}, err
}

func publicPEM(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}
