package predicate

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// WitnessCollection is what witness recorded of one step, predicate type
// [TypeWitnessCollection] (in-toto/go-witness, attestation/collection.go). It
// is read, never written.
//
// A collection may have several attestations of one type. All of them are
// here: a reader that takes the last, or the first, lets whoever added another
// choose what is seen.
type WitnessCollection struct {
	Name         string               // of the step
	Attestations []WitnessAttestation // all of them, in their order

	// What the attestations of the types that this package knows say, those of
	// several attestations of one type one after the other. Within one, files are in the order of
	// their names.
	Materials    []provenance.ResourceDescriptor
	Products     []provenance.ResourceDescriptor
	Commands     []WitnessCommand
	Git          []WitnessGit
	Environments []WitnessEnvironment
}

// WitnessAttestation is one attestation of a collection, of any type.
type WitnessAttestation struct {
	Type        string          `json:"type"` // "https://witness.dev/attestations/git/v0.1"
	Attestation json.RawMessage `json:"attestation"`
	StartTime   Timestamp       `json:"starttime"`
	EndTime     Timestamp       `json:"endtime"`
}

// WitnessCommand is a command that was run.
type WitnessCommand struct {
	Command  []string `json:"cmd"`
	Stdout   string   `json:"stdout"`
	Stderr   string   `json:"stderr"`
	ExitCode int      `json:"exitcode"`
}

// WitnessGit is the state of a git work tree.
type WitnessGit struct {
	CommitHash     string                      `json:"commithash"`
	TreeHash       string                      `json:"treehash"`
	AuthorEmail    string                      `json:"authoremail"`
	CommitterEmail string                      `json:"committeremail"`
	ParentHashes   []string                    `json:"parenthashes"`
	Refs           []string                    `json:"refs"`
	Remotes        []string                    `json:"remotes"`
	Signature      string                      `json:"signature"`
	Status         map[string]WitnessGitStatus `json:"status"` // of the files that differ from the commit
}

// WitnessGitStatus is how a file differs from the commit.
type WitnessGitStatus struct {
	Staging  string `json:"staging"`
	Worktree string `json:"worktree"`
}

// WitnessEnvironment is where the step ran.
type WitnessEnvironment struct {
	OS        string            `json:"os"`
	Hostname  string            `json:"hostname"`
	Username  string            `json:"username"`
	Variables map[string]string `json:"variables"`
}

// ParseWitnessCollection reads a predicate of type [TypeWitnessCollection].
func ParseWitnessCollection(predicate []byte) (*WitnessCollection, error) {
	var v struct {
		Name         string               `json:"name"`
		Attestations []WitnessAttestation `json:"attestations"`
	}
	if err := decode(predicate, &v); err != nil {
		return nil, wrap("witness collection", err)
	}
	if v.Name == "" {
		return nil, bad("witness collection: name is required")
	}
	c := &WitnessCollection{Name: v.Name, Attestations: v.Attestations}
	for i, a := range v.Attestations {
		if err := c.add(a); err != nil {
			return nil, wrap("witness collection: attestations["+strconv.Itoa(i)+"] ("+clip(a.Type)+")", err)
		}
	}
	return c, nil
}

func (c *WitnessCollection) add(a WitnessAttestation) error {
	if a.Type == "" {
		return bad("type is required")
	}
	if err := ordered("starttime", a.StartTime, "endtime", a.EndTime); err != nil {
		return err
	}
	switch a.Type {
	case "https://witness.dev/attestations/material/v0.1":
		var files map[string]witnessDigest
		if err := decodeFiles(a.Attestation, &files); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err := addFile(&c.Materials, name, "", files[name]); err != nil {
				return err
			}
		}
	case "https://witness.dev/attestations/product/v0.1":
		var files map[string]struct {
			MimeType string        `json:"mime_type"`
			Digest   witnessDigest `json:"digest"`
		}
		if err := decodeFiles(a.Attestation, &files); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err := addFile(&c.Products, name, files[name].MimeType, files[name].Digest); err != nil {
				return err
			}
		}
	case "https://witness.dev/attestations/command-run/v0.1", "https://witness.dev/attestations/command-run/v0.2":
		var cmd struct {
			WitnessCommand
			ExitCode *int `json:"exitcode"`
		}
		if err := decode(a.Attestation, &cmd); err != nil {
			return err
		}
		// An exit code that is not there must not pass for 0.
		if len(cmd.Command) == 0 || cmd.ExitCode == nil {
			return bad("cmd and exitcode are required")
		}
		cmd.WitnessCommand.ExitCode = *cmd.ExitCode
		c.Commands = append(c.Commands, cmd.WitnessCommand)
	case "https://witness.dev/attestations/git/v0.1":
		var git WitnessGit
		if err := decode(a.Attestation, &git); err != nil {
			return err
		}
		c.Git = append(c.Git, git)
	case "https://witness.dev/attestations/environment/v0.1":
		var env WitnessEnvironment
		if err := decode(a.Attestation, &env); err != nil {
			return err
		}
		c.Environments = append(c.Environments, env)
	}
	return nil
}

// decodeFiles decodes a map of files; witness writes null for an empty one.
func decodeFiles(data []byte, v any) error {
	if string(data) == "null" {
		return nil
	}
	return decode(data, v)
}

func addFile(list *[]provenance.ResourceDescriptor, name, mediaType string, digest witnessDigest) error {
	if name == "" || len(digest) == 0 {
		return bad("file %s: want a name and a digest", clip(name))
	}
	*list = append(*list, provenance.ResourceDescriptor{
		Name: name, MediaType: mediaType, Digest: provenance.DigestSet(digest)})
	return nil
}

// witnessDigest is a DigestSet as witness writes it: a directory's hash is in
// the form of go.sum, "h1:" and base64, where the specification wants hex.
type witnessDigest provenance.DigestSet

func (d *witnessDigest) UnmarshalJSON(data []byte) error {
	*d = nil
	p := strictjson.NewParser(data, 0)
	return objectOrNull(p, func(name []byte) error {
		if len(*d) == limits.DigestsPerSet {
			return p.Failf(provenance.ReasonLimit, "more than %d digests of one artifact", limits.DigestsPerSet)
		}
		algorithm := provenance.Algorithm(name)
		value, err := p.String()
		if err != nil {
			return err
		}
		if h1, ok := strings.CutPrefix(value, "h1:"); ok && algorithm == provenance.DirHash {
			sum, err := base64.StdEncoding.Strict().DecodeString(h1)
			if err != nil {
				return bad("dirHash: want h1: and base64, found %s", clip(value))
			}
			value = hex.EncodeToString(sum)
		}
		digest, err := provenance.NewDigest(algorithm, value)
		if err != nil {
			return err
		}
		if !provenance.DigestSet(*d).Get(digest.Algorithm()).IsZero() {
			return bad("two digests under %s", digest.Algorithm())
		}
		*d = append(*d, digest)
		return nil
	})
}
