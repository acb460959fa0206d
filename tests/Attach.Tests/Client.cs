using System.Diagnostics;

namespace Xfrmd.Attach.Tests;

/// <summary>Runs real programs under <c>xfrmd run</c>.</summary>
public static class Client
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Starts <c>xfrmd run -- PROGRAM</c> against the socket.</summary>
    public static Process Start(string socket, params string[] program) => StartPlain(socket, [PublishedProgram.Path, "run", "--", .. program]);

    /// <summary>Starts a program as it is, with XFRMD_SOCKET set.</summary>
    public static Process StartPlain(string socket, params string[] command)
    {
        Assert.True(Environment.UserName == "root", "the tests of Attach need root: run them as root");
        ProcessStartInfo start = new(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.Environment["XFRMD_SOCKET"] = socket;
        return Process.Start(start)!;
    }

    /// <summary>Waits for the end.</summary>
    public static Result Finish(Process process)
    {
        using (process)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(Patience) || !Task.WaitAll([output, errors], Patience))
            {
                process.Kill(entireProcessTree: true);
                _ = Task.WaitAll([output, errors], TimeSpan.FromSeconds(5));
                Assert.Fail($"hung; it said:\n{Said(output)}\n{Said(errors)}");
            }
            return new Result(process.ExitCode, output.Result, errors.Result);
        }
    }

    private static string Said(Task<string> text) => text.IsCompletedSuccessfully ? text.Result : "(its pipe is still open)";

    public static Result Run(string socket, params string[] program) => Finish(Start(socket, program));

    /// <summary>Runs a Python script attached, and fails with what it said unless it ended well.</summary>
    public static string Python(string socket, string script, params string[] arguments) => Python(socket, [], script, arguments);

    /// <summary>The same behind another command, such as unshare.</summary>
    public static string Python(string socket, string[] before, string script, params string[] arguments)
    {
        const string Prelude = """
            import ctypes, errno, os, select, signal, socket, struct, sys, threading, time
            def nl(type=socket.SOCK_RAW): return socket.socket(socket.AF_NETLINK, type, 6)
            def fails(code, call, *args):
                try: r = call(*args)
                except OSError as e:
                    assert e.errno == code, (errno.errorcode.get(e.errno), 'not', errno.errorcode[code])
                    return
                raise AssertionError(('no error', r))

            """;
        Result result = Finish(StartPlain(socket, [.. before, PublishedProgram.Path, "run", "--", "python3", "-c", Prelude + script, .. arguments]));
        Assert.True(result.ExitCode == 0, $"exit code {result.ExitCode}\n{result.Output}\n{result.Errors}");
        return result.Output;
    }

    /// <summary>How a program ended and what it wrote.</summary>
    public sealed record Result(int ExitCode, string Output, string Errors);
}
