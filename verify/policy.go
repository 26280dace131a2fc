package verify

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// PolicySchema is the value of a policy's schema field.
const PolicySchema = "https://hallmark.build/policy/v1"

// A Policy says what an artifact's history must be. It is read from YAML or
// JSON by [ReadPolicy] and [ParsePolicy], or written as a literal; both give
// the same thing. [New] checks it. The JSON Schema is docs/policy.schema.json.
//
// The zero value of every field is its strictest meaning.
type Policy struct {
	Schema  string `json:"schema"`            // [PolicySchema]
	Name    string `json:"name"`              // for reports
	Version int64  `json:"version,omitempty"` // grows with each revision; see [Options].MinimumVersion
	// Expires is the first instant at which the policy no longer holds.
	// Required, unless NoExpiryUnsafe is set.
	Expires        time.Time `json:"expires,omitzero"`
	NoExpiryUnsafe bool      `json:"noExpiryUnsafe,omitempty"`

	// Parameters are the names that "${NAME}" may have in strings of the
	// policy, with their default values (null for none: the caller must give
	// one). A value never becomes syntax: it cannot add a rule, a pattern
	// character or a piece of a condition.
	Parameters map[string]*string `json:"parameters,omitempty"`

	// Principals are the people, machines and services that the policy knows,
	// by name.
	Principals map[string]Principals `json:"principals"`
	// Inputs are the external inputs that stages may admit, by name.
	Inputs map[string]Input `json:"inputs,omitempty"`
	// Stages are the stages by name. At least one.
	Stages map[string]*Stage `json:"stages"`
	// Final is the stage whose product the artifact must be.
	Final string `json:"final"`

	// Rules hold over the whole chain.
	Rules []Rule `json:"rules,omitempty"`
	// Inventory says who may vouch that evidence is complete.
	Inventory *Inventory `json:"inventory,omitempty"`
	// Sigstore says what Sigstore bundles must bring. Default: what the client
	// specification asks for.
	Sigstore *Sigstore `json:"sigstore,omitempty"`
	// Revoked lists what no longer counts, with the time of effect.
	Revoked []Revocation `json:"revoked,omitempty"`
	// Algorithms are the digest algorithms by which artifacts match. Default:
	// every strong one.
	Algorithms []string `json:"algorithms,omitempty"`

	positions positions // where each field was written, when it was read from a file
	digest    string    // of the bytes it was read from
}

// Principals names one principal, or a set of them.
//
// With Keys and Identities it is one principal, however many keys the person
// or machine has: their signatures count once. With Patterns it is a set: every
// identity that matches counts by itself.
type Principals struct {
	Key        string     `json:"key,omitempty"`        // a public key in PEM; short for one element of Keys
	Keys       []Key      `json:"keys,omitempty"`       // public keys
	Identity   *Identity  `json:"identity,omitempty"`   // short for one element of Identities
	Identities []Identity `json:"identities,omitempty"` // certificate identities, exactly
	Patterns   []Identity `json:"patterns,omitempty"`   // certificate identities whose Subject may have wildcards
	// Organization is whom the principal belongs to, for rules that want
	// signers of several organisations.
	Organization string `json:"organization,omitempty"`
	// AcceptClaimedTimeUnsafe lets the times that this principal's statements
	// claim stand in for trusted times, in every rule that needs a time.
	AcceptClaimedTimeUnsafe bool `json:"acceptClaimedTimeUnsafe,omitempty"`
}

// A Key is a public key that a policy trusts.
type Key struct {
	PEM string `json:"pem"` // SubjectPublicKeyInfo in PEM
	// Scheme pins the signature scheme, for RSA keys that sign with PKCS #1
	// v1.5 ("rsa-pkcs1v15-sha256"), and for the oddities [SchemeP1363] and
	// [SchemeRawPayloadUnsafe]. Default: the key type's own, RSA-PSS for RSA.
	Scheme string `json:"scheme,omitempty"`
	// ValidFrom and ValidUntil bound when the key may have signed, both
	// inclusive. A signature's trusted time must lie between them; without a
	// trusted time the instant of judgement must.
	ValidFrom  time.Time `json:"validFrom,omitzero"`
	ValidUntil time.Time `json:"validUntil,omitzero"`
}

// UnmarshalJSON takes a PEM string or an object.
func (k *Key) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &k.PEM)
	}
	type plain Key
	return json.Unmarshal(data, (*plain)(k))
}

// An Identity is whom a certificate names. Issuer and Subject must both match;
// neither may be empty.
type Identity struct {
	Issuer string `json:"issuer"` // the OIDC issuer URL, exactly
	// Subject is the subject alternative name, exactly. In Patterns "*"
	// stands for any characters but "/", and "**" for any characters; the
	// pattern always covers the whole name.
	Subject string `json:"subject"`
	// SubjectType is "uri", "email" or "other"; default: a Subject with "://"
	// is a uri, one with "@" an email.
	SubjectType string `json:"subjectType,omitempty"`
}

// An Input admits materials that no stage of the policy makes. A material is
// admitted when every field that is set admits it; at least one of Digests and
// ListedBy should be set, else whoever controls the URI controls the input.
type Input struct {
	// URI is a pattern for the material's uri (or, when it has none, its
	// name): "*" stands for any characters but "/", "**" for any characters.
	URI string `json:"uri,omitempty"`
	// Digests are the digests of which the material must have one, as
	// "algorithm:value".
	Digests []string `json:"digests,omitempty"`
	// ListedBy names a stage whose chosen statements must list the material
	// by digest, in an SBOM, or as a material or product.
	ListedBy string `json:"listedBy,omitempty"`
	// Algorithms restricts the digests by which the material may be known, for
	// example to gitCommit. The material must have one of them.
	Algorithms []string `json:"algorithms,omitempty"`
	// AllowWithoutDigestUnsafe admits materials that carry no digest.
	AllowWithoutDigestUnsafe bool `json:"allowWithoutDigestUnsafe,omitempty"`
}

// A Stage is one step of the chain.
//
// A stage either hands artifacts on (its products are materials of other
// stages, or the artifact itself), or it is about the products of other stages
// (a test, a scan, a review): then About is set.
type Stage struct {
	// Requires lists the attestations that the stage needs; all of them.
	Requires []Requirement `json:"requires,omitempty"`
	// Contains makes the stage one that the library checks itself: the
	// product is a package, its materials are the files in it. It takes the
	// place of Requires.
	Contains *Contains `json:"contains,omitempty"`

	// From names the stages whose products may be materials of this one. At
	// least one material must come from each that is not optional.
	From []Flow `json:"from,omitempty"`
	// Inputs names the external inputs that may be materials.
	Inputs []string `json:"inputs,omitempty"`
	// About names the stages whose used products the statements must have as
	// subjects.
	About []About `json:"about,omitempty"`
	// After names stages that must have come before this one, by trusted time
	// or because a statement of this stage lists theirs among its materials:
	// by the SHA-256 of the statement, with the media type [StatementMediaType].
	After []string `json:"after,omitempty"`

	// Many lets the stage run several times: once for each platform, once for
	// each file. Default: one run makes everything that the chain uses.
	Many bool `json:"many,omitempty"`
	// Optional lets the chain do without the stage when nothing flows from
	// it. It must hold all the same when something does.
	Optional bool `json:"optional,omitempty"`
	// Products are patterns for names of products. When set, every product of
	// the stage must match one of them (or, with Complete, be used), and every
	// pattern must match a product.
	Products []string `json:"products,omitempty"`
	// Complete refuses products that the chain does not use, but for those
	// that Products names.
	Complete bool `json:"complete,omitempty"`
}

// A Flow says how artifacts flow in from a stage. In YAML the name of the
// stage alone will do.
type Flow struct {
	Stage string `json:"stage"` // the name of the stage
	// Materials is a pattern for the names of the materials that may come from
	// the stage. Default: any.
	Materials string `json:"materials,omitempty"`
	// Names ties names as well as digests: "same", "base" (the last element of
	// the path is the same), or "" for digests only.
	Names string `json:"names,omitempty"`
	// Map ties the name of a material to that of the product it must be.
	Map map[string]string `json:"map,omitempty"`
	// Optional lets nothing come from the stage.
	Optional bool `json:"optional,omitempty"`
}

// An About says which products of a stage a statement must be about. In YAML
// the name of the stage alone will do.
type About struct {
	Stage string `json:"stage"` // the name of the stage
	// Products is a pattern for the names of the products that must be
	// covered. Default: all. At least one product must match.
	Products string `json:"products,omitempty"`
	// All covers every product of the stage's statements, not only those that
	// the chain uses.
	All bool `json:"all,omitempty"`
}

func (f *Flow) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &f.Stage)
	}
	type plain Flow
	return json.Unmarshal(data, (*plain)(f))
}

func (a *About) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &a.Stage)
	}
	type plain About
	return json.Unmarshal(data, (*plain)(a))
}

// A Requirement asks for statements of a type, by certain principals, about
// which certain things hold.
type Requirement struct {
	// Type is the predicate type, compared as a whole; Types is for several.
	Type  string   `json:"type,omitempty"`
	Types []string `json:"types,omitempty"`
	// Signers names the principals whose statements count.
	Signers []string `json:"signers"`
	// Threshold is how many distinct principals must agree. Default 1.
	Threshold int `json:"threshold,omitempty"`
	// AgreeOnMaterials makes them agree on materials too, not only on the
	// products that the chain uses.
	AgreeOnMaterials bool `json:"agreeOnMaterials,omitempty"`
	// Where lists conditions that must be true of every statement that counts.
	Where []string `json:"where,omitempty"`
	// MaxAge is how old the statement may be at the instant of judgement, by
	// trusted time. Default: any age.
	MaxAge Duration `json:"maxAge,omitzero"`
	// Which says what to do about several statements: "any" (default) takes
	// any that fit; "newest" looks at the newest only; "all" wants every one
	// to fit; "none" wants none to fit. All but "any" depend on nothing being
	// withheld, and need Complete or MaxAge.
	Which string `json:"which,omitempty"`
	// Complete makes an inventory show that nothing was withheld.
	Complete bool `json:"complete,omitempty"`
	// Builders lists the builder ids that SLSA provenance of this requirement
	// may have. Default: any that the signer claims.
	Builders []string `json:"builders,omitempty"`
}

// Contains says how to look into a package.
type Contains struct {
	// Members is a pattern for names of the files inside that must be
	// accounted for as materials. Default: all of them.
	Members string `json:"members,omitempty"`
}

// A Rule holds over several stages.
type Rule struct {
	Name string `json:"name,omitempty"` // for reports
	// Separate lists stages whose counted principals must all differ.
	Separate []string `json:"separate,omitempty"`
	// Organizations is how many organisations the counted principals of Over
	// must come from.
	Organizations int      `json:"organizations,omitempty"`
	Over          []string `json:"over,omitempty"`
	// SamePackages lists stages whose statements must list the same packages:
	// SLSA provenance and other transformations among their materials, SBOMs
	// as components. Whatever one lists under a URI that matches Packages and
	// none of Except, the others must list under the same URI with matching
	// digests.
	SamePackages []string `json:"samePackages,omitempty"`
	// Packages is a pattern for the URIs that SamePackages is about, such as
	// "pkg:npm/**".
	Packages string `json:"packages,omitempty"`
	// Except are patterns for what SamePackages passes over, such as modules
	// of the same source tree.
	Except []string `json:"except,omitempty"`
	// Condition must be true of the chosen statements of all stages.
	Condition string `json:"condition,omitempty"`
}

// An Inventory says who may vouch that the evidence about an artifact is
// complete, by a signed statement of type [InventoryType].
type Inventory struct {
	Signers []string `json:"signers"` // names of principals
	MaxAge  Duration `json:"maxAge"`  // required: an old inventory hides what came later
}

// StatementMediaType is the media type of a material that is a statement,
// listed to show that it existed before: see Stage.After.
const StatementMediaType = "application/vnd.in-toto+json"

// InventoryType is the predicate type of inventories: {"createdOn": "…",
// "statements": [{"digest": "sha256:…", "predicateType": "…"}]}, about the
// subjects of those statements. CreatedOn (RFC 3339) is what it claims where
// no trusted time says when it was signed.
const InventoryType = "https://hallmark.build/attestation/inventory/v1"

// A Revocation names one thing that no longer counts.
type Revocation struct {
	Key       string    `json:"key,omitempty"`       // a public key, by the SHA-256 of its SubjectPublicKeyInfo in hex
	Identity  *Identity `json:"identity,omitempty"`  // a certificate identity, exactly
	Builder   string    `json:"builder,omitempty"`   // a builder.id of SLSA provenance
	Statement string    `json:"statement,omitempty"` // a statement, by its SHA-256 as "sha256:…"
	LogIndex  *int64    `json:"logIndex,omitempty"`  // an entry of a transparency log
	// From is when the revocation takes effect: what has a trusted time before
	// it still counts. Zero: always.
	From   time.Time `json:"from,omitzero"`
	Reason string    `json:"reason,omitempty"` // for reports
}

// A Duration is a length of time, written as Go does ("36h", "90m") or in days
// ("30d").
type Duration time.Duration

// UnmarshalJSON reads a duration from a string.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf(`want a duration such as "36h" or "30d"`)
	}
	var days int64
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if _, err := fmt.Sscanf(n, "%d", &days); err == nil && fmt.Sprint(days) == n && days > 0 && days < 100_000 {
			*d = Duration(days * 24 * int64(time.Hour))
			return nil
		}
	}
	t, err := time.ParseDuration(s)
	if err != nil || t <= 0 {
		return fmt.Errorf(`want a positive duration such as "36h" or "30d", found %q`, s)
	}
	*d = Duration(t)
	return nil
}

// MarshalJSON writes what String returns.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// A Position is a place in a policy file; lines and columns count from 1.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.File == "":
		return fmt.Sprintf("%d:%d", p.Line, p.Column)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// positions maps the path of a field ("stages.build.requires[0].signers") to
// where it was written.
type positions map[string]Position

// A PolicyError says what is wrong with a policy. Nothing was judged.
type PolicyError struct {
	Position Position // where, when the policy was read from a file
	Path     string   // which field: "stages.build.requires[0].signers"
	Reason   string   // stable: "policy-syntax", "policy-field", "policy-cycle", …
	Msg      string   // what is wrong and what would be right
}

func (e *PolicyError) Error() string {
	var b strings.Builder
	b.WriteString("policy: ")
	if p := e.Position.String(); p != "" {
		b.WriteString(p + ": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Msg)
	return b.String()
}

// Reasons of a [PolicyError].
const (
	PolicySyntax    = "policy-syntax"    // not YAML or JSON that can be read strictly
	PolicyField     = "policy-field"     // a field is missing, unknown, or has a wrong value
	PolicyReference = "policy-reference" // a name that the policy does not define
	PolicyCycle     = "policy-cycle"     // stages that depend on each other
	PolicyKey       = "policy-key"       // a key that cannot be read, is weak, or is given to two principals
	PolicyCondition = "policy-condition" // a condition that does not compile, or no compiler was given
	PolicyParameter = "policy-parameter" // a parameter is unset, unknown, or has a value that is not allowed
	PolicyUnsigned  = "policy-signature" // a signed policy whose signatures do not suffice, or an older version
	PolicyWider     = "policy-wider"     // a policy that accepts something that the one it builds on does not
	PolicyEmpty     = "policy-empty"     // nothing is required: the policy would prove nothing
)
