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

	// SBOMComponents and SBOMRelationships are the largest numbers of components
	// and of relationships of one SBOM. A whole distribution image has 10,000
	// components; a dense graph over few components grows as their square.
	SBOMComponents    = 1 << 20
	SBOMRelationships = 8 << 20

	// SBOM is the largest SBOM that is read as a whole, in bytes. 100,000
	// components are 90 MiB in CycloneDX and 170 in SPDX. What is larger than
	// Statement cannot be a predicate.
	SBOM = 512 << 20

	// SBOMComponentBytes is the largest component, with those inside it, of
	// a document that is not held in memory as a whole.
	SBOMComponentBytes = 16 << 20

	// SBOMElements is the largest number of XML elements in one member of an
	// SBOM, all its services for instance. An element of four bytes becomes a
	// hundred in memory.
	SBOMElements = 1 << 20

	// ModuleZip, ModuleFiles and GoMod bound what is read of one Go module: the
	// go command's own limits on the size of a zip, packed and unpacked
	// (golang.org/x/mod/zip.MaxZipFile), and on go.mod; and a number of files
	// that a zip of that size could hold a hundredfold of. LicenceFiles is how
	// many licence files of one module are looked at.
	ModuleZip    = 500 << 20
	ModuleFiles  = 1 << 18
	GoMod        = 16 << 20
	LicenceFiles = 64

	// GoFunctionNames is the largest table of function names of a Go program, in
	// bytes, and GoPackages how many packages may be linked into one. The largest
	// programs known have 30 MB and 20,000.
	GoFunctionNames = 256 << 20
	GoPackages      = 1 << 18

	// EvidenceFile is the largest evidence file that is read, in bytes.
	EvidenceFile = 64 << 30

	// EvidenceFiles and EvidenceKeys are the largest numbers of files and of
	// digests and names, of 16 bytes each, in one index of evidence. Stops
	// statements of nothing but short subjects from filling the memory.
	EvidenceFiles = 16 << 20
	EvidenceKeys  = 64 << 20

	// EvidenceNotes is how many pieces of evidence that were passed over are
	// noted one by one.
	EvidenceNotes = 1000

	// EvidenceHeld is how many bytes of evidence together are held in memory
	// once they are parsed; more is read again when it is asked for.
	EvidenceHeld = 32 << 20

	// EvidenceFound is how many bytes of attestations about one artifact are
	// read, and EvidencePerName how many attestations about artifacts of one
	// name, which only help to explain a refusal.
	EvidenceFound   = 1 << 30
	EvidencePerName = 64

	// BatchCache is how many bytes of opened attestations a batch keeps, about.
	BatchCache = 512 << 20

	// Policy is the largest policy document, in bytes.
	Policy = 4 << 20

	// PolicyNodes is the largest number of YAML nodes in a policy. Stops
	// deep or wide documents that parse slowly. Aliases are refused outright,
	// so nothing multiplies.
	PolicyNodes = 200_000

	// PolicyDepth is the deepest nesting of a YAML policy; the types need 9.
	PolicyDepth = 32

	// PolicyName is the longest name of a stage, principal, input or
	// parameter, in bytes. Names are part of the path of every field under
	// them, so a name of a megabyte over a hundred thousand fields would cost
	// 100 GB.
	PolicyName = 128

	// ParameterValue is the longest value of a parameter, in bytes.
	ParameterValue = 4096

	// KeyFile is the largest key or certificate file, in bytes.
	KeyFile = 1 << 20

	// KeyDER is the largest decoded key, in bytes: an RSA key of 8192 bits has
	// 4.6 kB, a certificate with many names some more. Stops arithmetic on
	// numbers of a million bits.
	KeyDER = 64 << 10

	// ScryptMemory and ScryptWork bound the key derivation that an encrypted
	// key file may ask for: 128·N·r bytes, and 128·N·r·p bytes passed through.
	// Sigstore asks for 64 MiB, the hardest advice in use for 128 MiB. Stops a
	// key file with N=2^40.
	ScryptMemory = 256 << 20
	ScryptWork   = 1 << 30

	// PBKDF2Iterations is the same bound for PKCS#8 with PBES2.
	PBKDF2Iterations = 10_000_000

	// SearchSteps is how many assignments the chain solver tries before it
	// refuses with reason "search-limit". A chain that a person would write
	// needs tens; distinct-principal and cross-stage rules make the problem
	// one of constraint satisfaction, so a hostile store could make it
	// exponential.
	SearchSteps = 1_000_000

	// SignatureTries is how many signatures one search checks, each under each
	// key that it could be of. Stops junk about an artifact, which anybody can
	// publish: ten thousand envelopes of 64 signatures would cost ten keys
	// minutes.
	SignatureTries = 1 << 20

	// ExplainLooks is how many files are compared to find the one that was
	// changed, once a chain is refused: of trees of a hundred thousand files
	// all pairs would take hours.
	ExplainLooks = 4 << 20

	// CandidatesPerDigest is how many statements about one digest are
	// considered. Beyond it the verdict is a refusal, never a guess: dropping
	// candidates silently would make the verdict depend on order.
	CandidatesPerDigest = 10_000

	// PackagesPerURI is how many different packages of one URI a statement may
	// list where two statements must list the same: each of one is compared
	// with each of the other.
	PackagesPerURI = 64

	// ConditionCost is the CEL cost limit of one evaluation: a tenth of a second
	// as a rule, a second at worst. Stops a predicate made so that a harmless
	// condition compares a million pairs; there may be many statements.
	ConditionCost = 1_000_000

	// ConditionSource is the longest text of a condition, in bytes, and
	// ConditionNodes the largest number of its operations once macros are
	// expanded.
	ConditionSource = 64 << 10
	ConditionNodes  = 20_000

	// ConditionString is the longest string that a function of a condition
	// takes apart or puts together: the cost of a call is known only when it
	// is over, and "join" of a thousand times one long string would be paid
	// for too late.
	ConditionString = 1 << 20

	// CapturedOutput is how many bytes of a step's standard output, and as
	// many of its standard error, are kept: the first half and the last half.
	CapturedOutput = 1 << 20

	// ToolOutput is how many bytes of the answer of git or go are read by the
	// recorder. Stops a repository with millions of untracked files.
	ToolOutput = 64 << 20

	// DirtyFiles is how many paths that differ from the commit are listed in a
	// record; they are counted beyond that. GitRemotes is the same for remotes,
	// and GitFilters bounds the filters that are switched off one by one: each
	// costs four variables of an environment that the system limits.
	DirtyFiles = 1000
	GitRemotes = 32
	GitFilters = 64

	// GoModules is the largest module graph that is recorded.
	GoModules = 20_000

	// TreeEntries is the largest number of entries of a recorded tree.
	TreeEntries = 4 << 20

	// TreeBytes is the largest total size of the files of a recorded tree,
	// unless the caller says otherwise. Stops a sparse file of a terabyte,
	// which costs its author nothing, from keeping a build busy for an hour.
	TreeBytes = 256 << 30

	// TreeDepth is how deep directories may nest. The scanner keeps the
	// directories on the way to each worker open, so this stops a deep tree
	// from exhausting file descriptors.
	TreeDepth = 256

	// TreePath is the longest path in a recorded tree, and the longest target
	// of a symbolic link, in bytes: PATH_MAX of Linux. Stops a deep tree of
	// long names from costing memory as the square of its depth.
	TreePath = 4096

	// TreeCache is the largest file that is read as a digest cache, in bytes.
	TreeCache = 1 << 30

	// ArchiveEntries, ArchiveBytes and ArchiveRatio bound what is unpacked to
	// look inside an artifact. ArchiveRatio is the largest ratio of unpacked
	// to packed bytes beyond the first 64 MiB. Stops zip bombs.
	ArchiveEntries = 1 << 20
	ArchiveBytes   = 64 << 30
	ArchiveRatio   = 200

	// ArchiveKept is the largest file of a package whose content is held in
	// memory where somebody asks for it: lists of what was installed.
	ArchiveKept = 16 << 20

	// ArchiveNames is how many bytes the names of all entries of a package may
	// have together, and ArchiveDirectory the size of a zip's table of
	// contents: both are held in memory.
	ArchiveNames     = 256 << 20
	ArchiveDirectory = 64 << 20

	// ImageManifest is the largest manifest or index of an OCI image, in
	// bytes, as registries have it, and ImageManifests how many of them one
	// layout may have.
	ImageManifest  = 4 << 20
	ImageManifests = 1024

	// PipeGrace is how long a recorded step's output pipes may stay open
	// after the step itself ended. Stops a grandchild that keeps the pipe.
	PipeGrace = 2 * time.Second

	// FileLock is how long an append to a bundle waits for another that holds
	// the lock of the directory. Stops a stuck process from hanging a release.
	FileLock = 30 * time.Second

	// HTTPBody and HTTPTime bound one answer of a server.
	HTTPBody = 16 << 20
	HTTPTime = 30 * time.Second

	// SigstoreRoot is the largest trusted_root.json, in bytes, and
	// SigstoreAuthorities the largest number of logs or authorities of one
	// kind in it: a lookup tries those that share a name.
	SigstoreRoot        = 4 << 20
	SigstoreAuthorities = 256

	// SigstoreLogEntries and SigstoreTimestamps bound what one bundle may
	// carry. Each costs up to three public key operations.
	SigstoreLogEntries = 32
	SigstoreTimestamps = 32

	// SigstoreCertificate and SigstoreTimestamp are the largest certificate
	// and RFC 3161 response, in bytes; SigstoreChain the longest chain.
	// Parsing them grows with their size.
	SigstoreCertificate = 64 << 10
	SigstoreTimestamp   = 64 << 10
	SigstoreChain       = 16

	// SigstoreSCTs is the largest number of signed certificate timestamps in
	// one certificate.
	SigstoreSCTs = 16

	// SigstoreCheckpoint is the largest checkpoint with its signatures, in
	// bytes, and SigstoreProof the longest inclusion proof: a tree of 2^64
	// leaves has 64 levels.
	SigstoreCheckpoint = 64 << 10
	SigstoreProof      = 64

	// SigstoreCheckpoints and SigstoreLeaves are how many verified checkpoints
	// and leaf certificates are remembered for one trusted root: some 10 MiB.
	SigstoreCheckpoints = 4096
	SigstoreLeaves      = 1024

	// SigningServices is the largest number of services of one kind in a
	// signing configuration, and SigningToken the largest identity token, in
	// bytes: it is sent in a header, which servers bound near this.
	SigningServices = 256
	SigningToken    = 32 << 10

	// SigningBatch is the largest number of statements that are signed in one
	// call: each is held with its answers until all are done.
	SigningBatch = 10_000

	// TUFMetadata is the largest metadata file or target of a TUF repository,
	// in bytes, TUFRotations the longest chain of root rotations that is
	// walked, and TUFTargets the largest number of files of one request. Stops
	// a repository that never ends.
	TUFMetadata  = 8 << 20
	TUFRotations = 1024
	TUFTargets   = 64

	// ReportName and ReportMessage are how many columns of a name and of a
	// sentence a rendered report shows, and ReportList how many elements of a
	// list: files may be named with a megabyte, and there may be a million.
	// ReportDrawn is how many stages a picture has; beyond it nobody sees
	// anything, and laying it out costs the square.
	ReportName    = 160
	ReportMessage = 1000
	ReportList    = 100
	ReportDrawn   = 48

	// Summaries is the largest number of verification summaries that may rest
	// on one another: looking for loops costs the square.
	Summaries = 256

	// RegistryAttestations is the largest number of attestations in one answer
	// of a package registry.
	RegistryAttestations = 64

	// Layout is the largest in-toto layout, in bytes, LayoutItems the largest
	// number of its steps and inspections together, LayoutKeys of its keys and
	// of its certificates, and LayoutRules of its artifact rules. Stops a
	// functionary's sublayout from being a program that runs for hours.
	Layout      = 16 << 20
	LayoutItems = 1000
	LayoutKeys  = 1000
	LayoutRules = 20_000

	// LayoutDepth is how deep sublayouts may nest, and LayoutFiles how many
	// files the directories of links may have and how many of them are read,
	// sublayouts included. Each level multiplies what a functionary can ask for.
	LayoutDepth = 8
	LayoutFiles = 10_000

	// LayoutSignatures is how many signatures are checked in the verification
	// of one layout. Key ids are hints, so each signature of a link may have
	// to be tried under each key of its step: stops links with 64 signatures
	// by nobody over a layout with a thousand keys.
	LayoutSignatures = 20_000

	// ArtifactName is the longest name of an artifact in a link, in bytes:
	// many times that of a path. Each rule may have to look at each name.
	ArtifactName = 64 << 10

	// LayoutMatches is how many single comparisons the artifact rules of one
	// verification may cost, about ten seconds: a pattern of many "*" costs the
	// product of its length and the name's, for each of a million names.
	LayoutMatches = 1 << 30

	// ToolReport is the largest report of another tool, in bytes, that is read
	// as a whole, and ToolStream the largest that is read line by line: what
	// tests print is in it. ToolLine is its longest line.
	ToolReport = 128 << 20
	ToolStream = 4 << 30
	ToolLine   = 1 << 20

	// ToolNames is the largest number of tests or findings of one report,
	// ToolName the longest of their names, in bytes, and ToolNameBytes bounds
	// all names together: a subtest may be named with a megabyte of input.
	ToolNames     = 1 << 20
	ToolName      = 16 << 10
	ToolNameBytes = 64 << 20

	// ToolNesting is how deep the suites and subtests of a report, or the
	// modules of a plan, may nest: the name of each is put before those inside,
	// so the cost grows with the product.
	ToolNesting = 32

	// ToolSource is the largest file of infrastructure as code, in bytes, and
	// ToolNodes the largest number of its YAML nodes or tokens.
	ToolSource = 8 << 20
	ToolNodes  = 500_000

	// ScanFile is the largest lock file or package database, in bytes, that is
	// read as a whole, and ScanYAML the largest that is YAML, of which a node
	// in memory takes twenty times what it takes in the file. ScanManifest is
	// the largest manifest of one package, ScanLine the longest line of what is
	// read by the line.
	ScanFile     = 128 << 20
	ScanYAML     = 32 << 20
	ScanManifest = 8 << 20
	ScanLine     = 1 << 20

	// ScanDepth is how deep TOML and XML may nest: their parsers recurse.
	ScanDepth = 64

	// ScanNodes is the largest number of nodes of one YAML, TOML or XML file.
	ScanNodes = 4 << 20

	// ScanName is the longest name or version of a package, in bytes, and
	// ScanBytes bounds what the packages of one file are named, all together.
	ScanName  = 4096
	ScanBytes = 1 << 30

	// ScanGaps is how many unknowns of one file are noted one by one, and
	// ScanPaths how many places of one package.
	ScanGaps  = 10_000
	ScanPaths = 32

	// ScanProgram is the largest program that is looked into, in bytes; in an
	// image it is held in memory. ScanModules is how much of it may be the
	// list of what it is made of, unpacked.
	ScanProgram = 512 << 20
	ScanModules = 64 << 20

	// ScanRPM is the largest database of installed RPM packages, in bytes; in an
	// image it is held in memory. ScanRPMHeader is the largest description of
	// one package: that of a package with 100,000 files has 20 MB.
	// ScanPages is how deep the pages of a database may nest: each level
	// multiplies what it can hold by a hundred at least.
	ScanRPM       = 512 << 20
	ScanRPMHeader = 64 << 20
	ScanPages     = 16

	// ScanJar is the largest Java archive, in bytes. Archives in it are held
	// in memory, one for each level: ScanJarInner is how many bytes they may
	// have, and ScanJarDepth how deep they may nest. ScanJars is how many
	// archives one archive may have in it in all.
	ScanJar      = 2 << 30
	ScanJarInner = 256 << 20
	ScanJarDepth = 4
	ScanJars     = 10_000

	// ImageLayers is the largest number of layers of an image; overlay file
	// systems have at most 500.
	ImageLayers = 1024

	// ScanCached is the largest cached result of one layer, in bytes, and
	// ScanCache the largest cache; what is oldest goes first.
	ScanCached = 512 << 20
	ScanCache  = 4 << 30

	// Version is the longest version that is ordered, in bytes: comparing
	// takes time that grows with it, and a record may name a million.
	Version = 1024

	// OSVRecord is the largest vulnerability record, in bytes, and OSVPackages
	// the largest number of packages of one; a CVE of the Linux kernel has
	// some MB of versions. OSVRecords and OSVDatabase bound a database: all of
	// osv.dev is under a million records and some GB unpacked. OSVFiles is
	// how many zip files a folder may have, and OSVUnreadable how many records
	// that cannot be read are named one by one.
	OSVRecord     = 32 << 20
	OSVPackages   = 100_000
	OSVRecords    = 8 << 20
	OSVDatabase   = 64 << 30
	OSVFiles      = 1024
	OSVUnreadable = 1000
)
