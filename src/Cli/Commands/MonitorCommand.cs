using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Xfrmd.Attach;

namespace Xfrmd.Cli.Commands;

/// <summary>
/// <c>xfrmd monitor</c>: <c>ip</c> itself prints it. Its own "nokeys" does not hide those of new SAs (iproute2 6.1), so they are hidden here,
/// in the words that <c>ip</c> has for it.
/// </summary>
internal static partial class MonitorCommand
{
    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> keys) = (CommonOptions.Socket(), CommonOptions.ShowKeys());
        return new CliCommand("monitor", "What happens to SAs and policies, as 'ip -s xfrm monitor' prints it; Ctrl-C ends it.", "xfrmd monitor")
        {
            socket, keys,
        }.Does(parsed => parsed.GetValue(keys)
            ? Launcher.RunOwn(CommonOptions.SocketOf(parsed, socket), "monitor", ["ip", "-s", "xfrm", "monitor"])
            : Filter(CommonOptions.SocketOf(parsed, socket)));
    }

    /// <summary>A line of <c>ip</c> without key material (<c>__xfrm_algo_print</c>).</summary>
    internal static string HideKeys(string line) => KeyLine().Replace(line, "$1<<Keys hidden>>");

    private static int Filter(string socket)
    {
        using Process ip = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["monitor", "--show-keys", "--socket", socket]) { RedirectStandardOutput = true })!;
        bool stopped = false;
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        try
        {
            while (ip.StandardOutput.ReadLine() is { } line)
            {
                Console.Out.WriteLine(HideKeys(line));
            }
        }
        finally
        {
            ip.Kill();
        }
        ip.WaitForExit();
        return stopped ? ExitCode.Done : ip.ExitCode == ExitCode.Done ? ExitCode.Done : ExitCode.Failed;

        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stopped = true;
            ip.Kill();
        }
    }

    [GeneratedRegex(@"^(\t(?:auth|auth-trunc|enc|aead) \S+ )0x[0-9a-f]*")]
    private static partial Regex KeyLine();
}
