using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Xfrmd.Cli.Control;
using Xfrmd.Linux.Process;

namespace Xfrmd.Cli.Commands;

/// <summary>The command line as a whole. Each command stands in a file of its own, which says what it takes and what it does.</summary>
internal static class CommandLine
{
    private const int SigPipe = 13;

    private const string About = """
        xfrmd is the Linux kernel's IPsec interface and datapath in user space: an unmodified IKE daemon, or 'ip xfrm', talks to it
        as to the kernel, and it encrypts and decrypts the traffic itself.

        First steps
          xfrmd doctor                                      does this machine have what is needed?
          xfrmd serve &                                     the daemon
          xfrmd run -- /usr/lib/ipsec/charon &              strongSwan's charon on it; or any other IKE daemon
          xfrmd run -- ip xfrm state                        what charon installed
          xfrmd status                                      the same at a glance
          xfrmd explain 10.1.0.1 10.2.0.1                   would such a packet be protected?
        """;

    public static int Invoke(string[] arguments)
    {
        ProgramImage.IgnoreSignal(SigPipe);   // a reader that goes away is an error of the write, not our end
        RootCommand root = Create();
        ParseResult parsed = root.Parse(arguments);
        string command = parsed.CommandResult.Command == root ? "xfrmd" : "xfrmd " + parsed.CommandResult.Command.Name;
        try
        {
            if (parsed.Action is ParseErrorAction)
            {
                return arguments.Length == 0 ? Print(root) : WrongUsage(command, Mistake(parsed));
            }
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (UsageException mistake)
        {
            return WrongUsage(command, mistake.Message);
        }
        catch (ControlException failure)
        {
            Console.Error.WriteLine($"{command}: {failure.Message}");
            return ExitCode.Failed;
        }
        catch (IOException)
        {
            return ExitCode.Failed;   // who read our output has gone
        }
    }

    public static RootCommand Create()
    {
        RootCommand root = new(About)
        {
            DoctorCommand.Create(), ServeCommand.Create(), RunCommand.Create(), StatusCommand.Create(), StateCommand.Create(), PolicyCommand.Create(),
            MonitorCommand.Create(), StatsCommand.Create(), ExplainCommand.Create(), DropsCommand.Create(), CaptureCommand.Create(), KeysCommand.Create(),
            FaultCommand.Create(), FlushCommand.Create(), CompletionCommand.Create(), HelpCommand.Create(),
        };
        root.Options.OfType<HelpOption>().Single().Action = new HelpText();
        return root;
    }

    private static int Print(RootCommand root)
    {
        HelpText.Print(root);
        return ExitCode.WrongUsage;
    }

    private static int WrongUsage(string command, string mistake)
    {
        Console.Error.WriteLine($"{command}: {mistake}; see '{command} --help'");
        return ExitCode.WrongUsage;
    }

    // What was not understood says more than what is therefore missing.
    private static string Mistake(ParseResult parsed)
    {
        string message = (parsed.Errors.FirstOrDefault(e => e.Message.StartsWith("Unrecognized", StringComparison.Ordinal)) ?? parsed.Errors[0]).Message.TrimEnd('.');
        message = string.Join(' ', message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        int type = message.IndexOf(" as expected type", StringComparison.Ordinal);
        return type < 0 ? message : message[..type] + ": it is no number, or too large";
    }
}
