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
// Each is signed with a key of its own. With -dir, the archive, the evidence
// and the policy are left there for "verify"; with -without, a piece of evidence
// is left out, to see it refused. It exits with 0 if the archive passes, 1 if it is
// refused, and 2 if it cannot be judged.
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

func run(args []string, out io.Writer) int {
	ctx, cancel := cli.Context()
	defer cancel()
	flags := flag.NewFlagSet("mixed", flag.ContinueOnError)
	dir := flags.String("dir", "", "leave archive, evidence and policy in this folder")
	without := flags.String("without", "", "leave out the evidence of this stage")
	asJSON := flags.Bool("json", false, "the verdict in JSON")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		if errors.Is(err, flag.ErrHelp) {
			return cli.OK
		}
		return cli.Cannot
	}
	c, _, err := makeChain(ctx, time.Now())
	if err == nil && *without != "" {
		if _, ok := c.evidence[*without]; !ok {
			err = fmt.Errorf("-without: there is no stage %q", *without)
		}
		delete(c.evidence, *without)
	}
	if err == nil && *dir != "" {
		err = c.write(*dir)
	}
	if err != nil {
		return cli.Fail("mixed", err)
	}
	rep, err := c.judge(ctx)
	if err != nil {
		return cli.Fail("mixed", err)
	}
	render := report.Text
	if *asJSON {
		render = report.JSON
	}
	var options report.Options
	if f, ok := out.(*os.File); ok {
		options.Color = cli.Color(f)
	}
	if err := render(out, rep, options); err != nil {
		return cli.Fail("mixed", err)
	}
	if !rep.Passed {
		return cli.Refused
	}
	return cli.OK
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
			Builder:  predicate.Builder{ID: "https://github.com/actions/runner/github-hosted"},
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
	for _, envelope := range c.evidence {
		all = append(all, envelope)
	}
	slices.SortFunc(all, func(a, b []byte) int { return strings.Compare(string(a), string(b)) })
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
