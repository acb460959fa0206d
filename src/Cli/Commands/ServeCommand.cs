using System.CommandLine;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Extensions.Logging;
using Xfrmd.Cli.Serve;
using Xfrmd.Kernel;
using Xfrmd.Linux;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd serve</c>: the daemon, in the foreground, until SIGTERM or SIGINT.</summary>
internal static class ServeCommand
{
    public static CliCommand Create()
    {
        Option<string?> socket = CommonOptions.Socket();
        Option<bool> verbose = new("--verbose", "-v") { Description = "Log each socket too." };
        Option<bool> notify = new("--notify") { Description = "For service managers: readiness is told where NOTIFY_SOCKET is set, with or without this." };
        Option<bool> rawSockets = new("--raw-sockets") { Description = "Raw ESP through raw sockets always, never past routing and netfilter." };
        Option<int> clockRate = new("--clock-rate")
        {
            Description = "How many seconds SAs and policies age in one: at 60 a lifetime of an hour ends in a minute.",
            HelpName = "N",
            DefaultValueFactory = static _ => 1,
        };
        return new CliCommand("serve", "Run the daemon in the foreground, until SIGTERM or Ctrl-C.", "xfrmd serve", "XFRMD_SOCKET=$HOME/x.sock xfrmd serve -v")
        {
            socket, verbose, notify, rawSockets, clockRate,
        }.Explained("""
                Logs go to standard error. It serves every network namespace from which a program is started with 'xfrmd run'. A service
                manager that sets NOTIFY_SOCKET is told when it is ready. What it needs and lacks here is told by 'xfrmd doctor'.
                Where nobody can tell the difference raw ESP passes by the kernel's routing and netfilter, which is quicker; 'xfrmd status'
                shows where.
                With --clock-rate the kernel's side alone is faster (lifetimes, what waits for a key, path MTUs, times in what is listed): the
                IKE daemon's own timers are not.
                """).Does(parsed => Execute(new ServeOptions
        {
            Socket = CommonOptions.SocketOf(parsed, socket),
            Verbose = parsed.GetValue(verbose),
            RawSockets = parsed.GetValue(rawSockets),
            ClockRate = Sensible(parsed.GetValue(clockRate)),
        }));
    }

    private static int Sensible(int clockRate) =>
        clockRate is >= 1 and <= FastClock.MaxRate ? clockRate : throw new UsageException($"--clock-rate is from 1 to {FastClock.MaxRate}");

    private static int Execute(ServeOptions options)
    {
        if (DoctorCommand.FindObstacle() is { } obstacle)
        {
            Console.Error.WriteLine($"xfrmd serve: {obstacle.Name}: {obstacle.Found}; {obstacle.Fix}");
            return ExitCode.Failed;
        }
        using ILoggerFactory logging = LoggerFactory.Create(builder => builder
            .SetMinimumLevel(options.Verbose ? LogLevel.Debug : LogLevel.Information)
            .AddSimpleConsole(console => console.SingleLine = true)
            .AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace));
        using ManualResetEventSlim stop = new();
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        Composition composition;
        try
        {
            composition = Composition.Create(options, options.ClockRate == 1 ? TimeProvider.System : new FastClock(TimeProvider.System, options.ClockRate), logging);
        }
        catch (LinuxException failure)
        {
            Console.Error.WriteLine($"xfrmd serve: {Explain(options, failure)}");
            return ExitCode.Failed;
        }
        using (composition)
        {
            Notify("READY=1");
            stop.Wait();
            Notify("STOPPING=1");
        }
        return ExitCode.Done;

        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Set();
        }
    }

    private static string Explain(ServeOptions options, LinuxException failure) => (Errno)failure.Errno switch
    {
        Errno.EADDRINUSE => $"a daemon serves at {options.Socket} already: stop it, or give this one another path with --socket",
        Errno.EACCES or Errno.EPERM => $"may not create {options.Socket}: run as root, or choose a path of yours with --socket",
        Errno.ENOENT => $"cannot create {options.Socket}: its directory does not exist; make it, or choose another path with --socket",
        _ => failure.Message,
    };

    /// <summary>sd_notify(3), if the service manager asked for it.</summary>
    private static void Notify(string state)
    {
        if (Environment.GetEnvironmentVariable("NOTIFY_SOCKET") is not { Length: > 1 } path)
        {
            return;
        }
        using Socket socket = new(System.Net.Sockets.AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        try
        {
            _ = socket.SendTo(Encoding.ASCII.GetBytes(state), new UnixDomainSocketEndPoint(path[0] == '@' ? "\0" + path[1..] : path));
        }
        catch (SocketException)
        {
            // A manager that does not listen is no reason not to serve.
        }
    }
}
