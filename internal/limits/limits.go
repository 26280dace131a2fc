// Package limits holds every bound that this module puts on input that others
// wrote, in one place, each with the attack it stops. A bound is checked
// before work that grows with the thing it bounds is spent.
package limits

import "time"

const (
	// Statement is the largest attestation, in bytes, that is read: an
	// envelope with its base64 payload. SBOM statements of large images reach
	// tens of MiB. Stops memory exhaustion by one line of evidence.
	Statement = 128 << 20

	// JSONDepth is the deepest nesting of arrays and objects. CycloneDX nests
	// components, so this is generous. Stops stack exhaustion: 100,000
	// opening brackets cost 100 kB to send.
	JSONDepth = 128

	// JSONValues is the largest number of values in one document. Stops a
	// small document of empty arrays from growing a hundredfold when decoded.
	JSONValues = 8 << 20

	// Signatures is the largest number of signatures of one envelope. Stops a
	// verifier from being made to try a million public key operations.
	Signatures = 64

	// Subjects is the largest number of subjects, or of resource descriptors
	// in any one list, of a statement. A recorded Go toolchain has 15,000.
	Subjects = 1 << 20

	// DigestsPerSet is the largest number of algorithms of one DigestSet.
	DigestsPerSet = 32

	// EvidenceFile is the largest evidence file that is read, in bytes.
	EvidenceFile = 64 << 30

	// Policy is the largest policy document, in bytes.
	Policy = 4 << 20

	// PolicyNodes is the largest number of YAML nodes in a policy. Stops
	// deep or wide documents that parse slowly. Aliases are refused outright,
	// so nothing multiplies.
	PolicyNodes = 200_000

	// KeyFile is the largest key or certificate file, in bytes.
	KeyFile = 1 << 20

	// ScryptMemory and ScryptWork bound the key derivation that an encrypted
	// key file may ask for. Stops a key file with N=2^40.
	ScryptMemory = 256 << 20

	// PBKDF2Iterations is the same bound for PKCS#8 with PBES2.
	PBKDF2Iterations = 10_000_000

	// SearchSteps is how many assignments the chain solver tries before it
	// refuses with reason "search-limit". A chain that a person would write
	// needs tens; distinct-principal and cross-stage rules make the problem
	// one of constraint satisfaction, so a hostile store could make it
	// exponential.
	SearchSteps = 1_000_000

	// CandidatesPerDigest is how many statements about one digest are
	// considered. Beyond it the verdict is a refusal, never a guess: dropping
	// candidates silently would make the verdict depend on order.
	CandidatesPerDigest = 10_000

	// ConditionCost is the CEL cost limit of one evaluation.
	ConditionCost = 10_000_000

	// CapturedOutput is how many bytes of a step's standard output, and as
	// many of its standard error, are kept: the first half and the last half.
	CapturedOutput = 1 << 20

	// TreeEntries is the largest number of entries of a recorded tree.
	TreeEntries = 4 << 20

	// ArchiveEntries, ArchiveBytes and ArchiveRatio bound what is unpacked to
	// look inside an artifact. ArchiveRatio is the largest ratio of unpacked
	// to packed bytes beyond the first 64 MiB. Stops zip bombs.
	ArchiveEntries = 1 << 20
	ArchiveBytes   = 64 << 30
	ArchiveRatio   = 200

	// PipeGrace is how long a recorded step's output pipes may stay open
	// after the step itself ended. Stops a grandchild that keeps the pipe.
	PipeGrace = 2 * time.Second

	// HTTPBody and HTTPTime bound one answer of a server.
	HTTPBody = 16 << 20
	HTTPTime = 30 * time.Second
)
