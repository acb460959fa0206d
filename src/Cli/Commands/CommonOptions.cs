using System.CommandLine;
using Xfrmd.Cli.Serve;

namespace Xfrmd.Cli.Commands;

/// <summary>Options that mean the same for every command that has them.</summary>
internal static class CommonOptions
{
    public static Option<string?> Socket() => new("--socket")
    {
        HelpName = "PATH",
        Description = $"The daemon's socket (else ${ServeOptions.SocketVariable}, else {ServeOptions.DefaultSocket}).",
    };

    public static Option<bool> Json() => new("--json") { Description = "Print JSON." };

    public static Option<bool> ShowKeys() => new("--show-keys") { Description = "Show key material: whoever sees it can read the traffic." };

    /// <summary>Which daemon is meant.</summary>
    public static string SocketOf(ParseResult parsed, Option<string?> option) => ServeOptions.ChooseSocket(parsed.GetValue(option));
}
