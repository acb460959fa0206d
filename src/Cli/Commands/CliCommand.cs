using System.CommandLine;

namespace Xfrmd.Cli.Commands;

/// <summary>A command as it is listed and helped: what it does in one line, examples, and whatever more there is to say.</summary>
internal sealed class CliCommand : Command
{
    /// <param name="name">As it is typed.</param>
    /// <param name="summary">One line.</param>
    /// <param name="examples">Each a command line, with two spaces before what it does.</param>
    public CliCommand(string name, string summary, params string[] examples) : base(name, summary) => Examples = examples;

    public IReadOnlyList<string> Examples { get; }

    /// <summary>What the summary leaves out: lines of at most 110 characters.</summary>
    public string? Details { get; private set; }

    /// <summary>The exit codes other than 0 (done), 1 (failed) and 2 (wrong usage).</summary>
    public string? ExitCodes { get; private set; }

    /// <summary>Says more than the summary.</summary>
    public CliCommand Explained(string details, string? exitCodes = null)
    {
        (Details, ExitCodes) = (details, exitCodes);
        return this;
    }

    /// <summary>What the command does; returns the exit code.</summary>
    public CliCommand Does(Func<ParseResult, int> action)
    {
        SetAction(action);
        return this;
    }
}
