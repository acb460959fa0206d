namespace Xfrmd.Interop.Harness;

/// <summary>What a finished program left: exit code and both outputs.</summary>
public sealed record CommandResult(string CommandLine, int ExitCode, string Output, string Errors)
{
    /// <summary>The result itself where the program succeeded.</summary>
    public CommandResult OrFail() => ExitCode == 0
        ? this
        : throw new InteropException($"`{CommandLine}` ended with {ExitCode}:\n{Output}{Errors}");
}
