using System.CommandLine;
using Xfrmd.Attach;
using Xfrmd.Cli.Serve;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd run [--socket PATH] [--] PROGRAM [ARGS]</c>, read without the parser of the other commands: it would cost the start of each program.</summary>
internal readonly record struct RunCommand(string Socket, IReadOnlyList<string> Program, string? Mistake)
{
    private const string Usage = "usage: xfrmd run [--socket PATH] -- PROGRAM [ARGS]";

    /// <summary>Only for help and completion: <see cref="TryParse"/> reads the real ones.</summary>
    public static CliCommand Create() => new CliCommand(
        "run", "Run a program so that its IPsec sockets are the daemon's.",
        "xfrmd run -- /usr/lib/ipsec/charon        an IKE daemon", "xfrmd run -- ip xfrm state                what it installed")
    {
        CommonOptions.Socket(),
        new Argument<string[]>("program") { Description = "The program and its arguments.", Arity = ArgumentArity.OneOrMore },
    }.Explained("""
            The program replaces xfrmd in this process and keeps its pid, exit code and signals; what it starts is attached too. All state
            belongs to the network namespace in which a socket is opened.
            """,
        "the program's own; 125: xfrmd could not attach it, 126: it cannot be executed, 127: there is no such program");

    /// <summary>False: a question (--help), which the other parser answers.</summary>
    public static bool TryParse(ReadOnlySpan<string> arguments, out RunCommand run)
    {
        string? socket = null;
        string? mistake = null;
        int at = 0;
        for (; at < arguments.Length && mistake is null; at++)
        {
            string argument = arguments[at];
            if (argument is "-h" or "-?" or "--help")
            {
                run = default;
                return false;
            }
            if (argument == "--socket" && at + 1 < arguments.Length)
            {
                socket = arguments[++at];
            }
            else if (argument.StartsWith("--socket=", StringComparison.Ordinal))
            {
                socket = argument["--socket=".Length..];
            }
            else if (argument == "--")
            {
                at++;
                break;
            }
            else if (argument.StartsWith('-'))
            {
                mistake = $"unknown option '{argument}'; {Usage}";
            }
            else
            {
                break;
            }
        }
        string[] program = arguments[Math.Min(at, arguments.Length)..].ToArray();
        mistake ??= program.Length == 0 ? $"no program named; {Usage}" : null;
        run = new RunCommand(ServeOptions.ChooseSocket(socket), program, mistake);
        return true;
    }

    public int Execute() => Mistake is null ? Launcher.Run(Socket, Program) : Launcher.Fail(Mistake);
}
