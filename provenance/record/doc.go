// Package record runs a build step and states what it did.
//
// [Run] digests the inputs of a command, runs it, digests what it made and
// keeps how it went: the [Record], from which a statement is made, as SLSA
// provenance or as an in-toto link.
//
//	rec, err := record.Run(ctx, record.Step{
//		Name:      "build",
//		Argv:      []string{"go", "build", "-o", "dist/app", "./cmd/app"},
//		Dir:       ".",
//		Materials: []string{"go.mod", "go.sum", "cmd"},
//		Products:  []string{"dist/app"},
//		PassEnv:   []string{"PATH", "HOME"},
//		Environ:   os.Environ(),
//		Stdout:    os.Stdout,
//		Stderr:    os.Stderr,
//		Now:       time.Now,
//	})
//	if failed, ok := errors.AsType[*record.Failure](err); ok {
//		st, err = failed.Statement(builder, invocation) // what went in, and how it failed
//	} else if err == nil {
//		st, err = rec.Provenance(builder, invocation)
//	}
//
// A Record is always of a step that succeeded. Everything else is an error: a
// [Failure] if the command was started or should have been, which can be stated
// too, but only as a [TypeFailedStep] about the materials, so that nobody can
// take it for provenance of a product; an [Error] if the step was not well
// formed and nothing happened.
//
// # Observed and claimed
//
// [Observed] is what this package saw: digests that it computed, the command
// that it ran, exit status and times, what git and go said when they were
// asked. [Claimed] is what the caller or the environment says: parameters, the
// CI system. In a statement the two are kept apart under these names.
//
// [Git], [Go], [GoBinary] and [CI] collect what a step can be given to go with
// its record. They are the only functions besides Run that start a process
// (git, go), and they say so.
//
// # Secrets
//
// Values of variables whose names look secret, of flags such as --token, the
// caller's list, and tokens that can be told by their form are removed from
// everything that a statement is made of, also where they are encoded. They are
// not removed from what is streamed to Step.Stdout and Step.Stderr: the user
// sees what the command wrote. Digests never change by it; where the captured
// output held a secret, the digest of the whole output is left out, because it
// would let anyone test guesses. Values of fewer than six bytes are not
// searched for.
//
// # What a record does not show
//
// Between the digest of a file and its use by the command, and between the end
// of the command and the digest of its product, another process of the same
// user can replace the file. Inputs are digested again afterwards, and those
// that changed are listed as modified; one that was changed and put back in
// between is not noticed. What the command reads beyond Step.Materials is not
// recorded. A process that the command left behind is killed with its process
// group; one that made itself a session of its own (setsid) is not found.
package record
