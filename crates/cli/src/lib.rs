//! `hirescam`: where a convolutional network looked, and what is proven about that picture.
//!
//! The command line as a function: the binary calls it, and so does whoever brings the same commands under another roof.
//!
//! Exit codes: 0 all done; 1 some images failed; 2 the arguments do not fit; 3 a file cannot be read or is invalid;
//! 4 the model needs something that is not supported; 5 the engine failed or is missing; 130 interrupted.

mod command;
mod error;
mod inputs;
#[cfg(any(feature = "batch", feature = "evaluate"))]
mod interrupt;
mod options;
mod output;
mod progress;
mod report;
mod triton;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;

#[derive(Parser)]
#[command(name = "hirescam", version, about = "Where a convolutional network looked, and what is proven about that picture", after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 some images failed; 2 arguments; 3 unreadable or invalid file; 4 not supported; 5 engine; 130 interrupted";

#[derive(Subcommand)]
enum Command {
    /// Look at explanations on a page in the browser: nothing leaves this machine.
    View(command::view::View),
    /// Explain images: overlay picture, raw map and record for each.
    Explain(command::explain::Explain),
    /// Set methods side by side: one picture and a table of numbers.
    Compare(command::compare::Compare),
    /// Report how far maps can be trusted on a network: what is proven, what is measured on images, what is left of them
    /// when the weights are randomised.
    Check(command::check::Check),
    /// Explain a million images: jobs that resume, rows in Parquet that are there once, on this machine or on many.
    Batch(command::batch::Batch),
    /// Evaluate methods on a data set: how good their maps are, against truth and against the network itself.
    Evaluate(Box<command::evaluate::Evaluate>),
    /// Make panels for human raters: each image with two methods' maps side by side, so that nobody can tell which is whose.
    Panels(command::panels::Panels),
    /// Studies with human raters: design, blinded pictures, pages, answers, results.
    Study(command::study::Study),
    /// Serve explanations over HTTP: an API described by OpenAPI, and explaining models by the Open Inference Protocol.
    Serve(command::serve::Serve),
    /// List the layers that one can explain at, with what is proven there.
    Layers(command::layers::Layers),
    /// Write the explaining model: the same ONNX file with map, class, score and b as more outputs.
    ///
    /// They come after the network's own outputs, and nothing of the network changes. Weights in files of their own are
    /// copied beside the explaining model. Compiling an explaining model replaces what was added before; `hirescam strip`
    /// takes it off.
    Compile(command::compile::Compile),
    /// Take the map off an explaining model again.
    Strip(command::strip::Strip),
    /// List the methods, with their cost and what is proven of their maps.
    Methods(command::methods::Methods),
    /// List the preprocessings of photos that have a name, as TOML.
    Presets(command::presets::Presets),
    /// List the operators that can stand between a layer and the score.
    Ops(command::ops::Ops),
}

/// Runs the command that `args` are, the program's name first, and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let known = Cli::command().mut_subcommands(|command| command.after_help(EXIT_CODES));
    let parsed = known.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    let command = match parsed {
        Ok(cli) => cli.command,
        // Help and version are no errors; what is wrong with an argument repeats it.
        Err(asked) if !asked.use_stderr() => {
            // Where it cannot be shown, there is nobody to tell.
            let _ = asked.print();
            return 0;
        }
        Err(error) => {
            output::usage(&error.render().to_string());
            return 2;
        }
    };
    let done = match command {
        Command::View(c) => c.run(),
        Command::Explain(c) => c.run(),
        Command::Compare(c) => c.run(),
        Command::Check(c) => c.run(),
        Command::Batch(c) => c.run(),
        Command::Evaluate(c) => c.run(),
        Command::Panels(c) => c.run(),
        Command::Study(c) => c.run(),
        Command::Serve(c) => c.run(),
        Command::Layers(c) => c.run(),
        Command::Compile(c) => c.run(),
        Command::Strip(c) => c.run(),
        Command::Methods(c) => c.run(),
        Command::Presets(c) => c.run(),
        Command::Ops(c) => c.run(),
    };
    done.unwrap_or_else(|error| {
        output::error(&error.to_string());
        error.exit_code()
    })
}
