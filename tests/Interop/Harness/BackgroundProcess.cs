using System.Diagnostics;
using System.Globalization;

namespace Xfrmd.Interop.Harness;

/// <summary>A program that runs beside the test and writes to a log file.</summary>
public sealed class BackgroundProcess : IDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(60);
    private readonly Process _process;

    private BackgroundProcess(string name, string logFile, Process process) => (Name, LogFile, _process) = (name, logFile, process);

    public string Name { get; }

    /// <summary>Where its outputs go, or where it writes what it has to say.</summary>
    public string LogFile { get; set; }

    public int Pid => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    public string Log => File.Exists(LogFile) ? ReadShared(LogFile) : string.Empty;

    /// <summary>Processor time that it has used (utime and stime of /proc/PID/stat).</summary>
    public double ProcessorSeconds
    {
        get
        {
            const double TicksPerSecond = 100;
            string stat = File.ReadAllText($"/proc/{Pid}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
        }
    }

    /// <summary>Starts a command whose outputs go to <paramref name="logFile"/>; the shell execs it, so the pid is the program's.</summary>
    public static BackgroundProcess Start(string name, IReadOnlyList<string> command, string logFile)
    {
        ProcessStartInfo start = new("/bin/sh", ["-c", "exec \"$@\" >>\"$LOG_FILE\" 2>&1 </dev/null", "sh", .. command]);
        start.Environment["LOG_FILE"] = logFile;
        Process process = Process.Start(start) ?? throw new InteropException($"{name} did not start");
        return new BackgroundProcess(name, logFile, process);
    }

    public void WaitForLog(string text, TimeSpan? timeout = null) => Wait.Until(() =>
    {
        if (Log.Contains(text, StringComparison.Ordinal))
        {
            return true;
        }
        return !HasExited ? false : throw new InteropException($"{Name} ended with {ExitCode} before it said \"{text}\":\n{Log}");
    }, $"{Name} says \"{text}\"", timeout);

    public void Signal(string signal)
    {
        if (!HasExited)
        {
            Command.Run([Toolbox.Find("kill"), "-" + signal, Pid.ToString(CultureInfo.InvariantCulture)]);
        }
    }

    public bool WaitForExit(TimeSpan timeout) => _process.WaitForExit(timeout);

    /// <summary>Asks it to end, and after a grace time makes it. True where asking was enough.</summary>
    public bool Stop(string signal = "TERM")
    {
        Signal(signal);
        bool orderly = _process.WaitForExit(Grace);
        if (!orderly)
        {
            Signal("KILL");
            _process.WaitForExit();
        }
        return orderly;
    }

    public void Dispose()
    {
        Stop();
        _process.Dispose();
    }

    private static string ReadShared(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    }
}
