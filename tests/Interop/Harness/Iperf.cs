using System.Globalization;
using System.Text.Json;

namespace Xfrmd.Interop.Harness;

/// <summary>Runs iperf3 between two machines.</summary>
public static class Iperf
{
    /// <summary>Sends so many octets over TCP; all arrive.</summary>
    public static IperfReport Tcp(Host client, Host server, string serverAddress, string amount = "20M", params string[] options) =>
        Run(client, server, serverAddress, TimeSpan.FromSeconds(60), ["-n", amount, .. options]);

    /// <summary>Sends datagrams for so many seconds. The largest buffer that a socket gets by default: who is slow to read must not lose any.</summary>
    public static IperfReport Udp(Host client, Host server, string serverAddress, int length, string rate, int seconds = 1) =>
        Run(client, server, serverAddress, TimeSpan.FromSeconds(seconds + 60), ["-u", "-w", "208K", "-l", Text(length), "-b", rate, "-t", Text(seconds)]);

    /// <summary>Starts a client that sends for so many seconds; read it with <see cref="Finish"/>.</summary>
    public static BackgroundProcess StartTcp(Host client, Host server, string serverAddress, int seconds, params string[] options)
    {
        StartServer(server);
        return client.Start("iperf3-client", [Toolbox.Find("iperf3"), "-J", "-c", serverAddress, "-t", Text(seconds), .. options]);
    }

    /// <summary>The same on a port of its own.</summary>
    public static BackgroundProcess StartTcpOn(int port, Host client, Host server, string serverAddress, int seconds, params string[] options)
    {
        StartServer(server, port);
        return client.Start("iperf3-client", [Toolbox.Find("iperf3"), "-J", "-c", serverAddress, "-p", Text(port), "-t", Text(seconds), .. options]);
    }

    public static IperfReport Finish(BackgroundProcess client, TimeSpan timeout)
    {
        Assert.True(client.WaitForExit(timeout), $"iperf3 did not end:\n{client.Log}");
        return Parse(client.Log, client.ExitCode);
    }

    private static IperfReport Run(Host client, Host server, string serverAddress, TimeSpan timeout, params string[] options)
    {
        StartServer(server);
        CommandResult result = client.Run(timeout, [Toolbox.Find("iperf3"), "-J", "-c", serverAddress, .. options]);
        return Parse(result.Output, result.ExitCode);
    }

    /// <summary>Until it says itself that it listens: the port may still be that of an earlier server, which is about to end.</summary>
    private static void StartServer(Host server, int port = 5201)
    {
        BackgroundProcess Start() => server.Start(
            "iperf3-server", Toolbox.Find("iperf3"), "-s", "-1", "--forceflush", "-p", Text(port), "-I", Path.Combine(server.RunFolder, Text(port) + ".pid"));
        BackgroundProcess process = Start();
        Wait.Until(() =>
        {
            process = process.HasExited ? Start() : process;
            return process.Log.Contains("Server listening on", StringComparison.Ordinal);
        }, $"iperf3 listens on {port}", TimeSpan.FromSeconds(60));
    }

    private static IperfReport Parse(string text, int exitCode)
    {
        Assert.True(exitCode == 0, $"iperf3 ended with {exitCode}:\n{text}");
        using JsonDocument document = JsonDocument.Parse(text[text.IndexOf('{', StringComparison.Ordinal)..]);
        Assert.True(!document.RootElement.TryGetProperty("error", out JsonElement error), $"iperf3: {error}\n{text}");
        JsonElement end = document.RootElement.GetProperty("end");
        bool udp = end.TryGetProperty("sum", out JsonElement sum);
        JsonElement received = udp ? sum : end.GetProperty("sum_received");
        return new IperfReport(
            received.GetProperty("bytes").GetInt64(),
            received.GetProperty("bits_per_second").GetDouble(),
            udp ? sum.GetProperty("packets").GetInt64() : 0,
            udp ? sum.GetProperty("lost_packets").GetInt64() : 0)
        {
            Intervals = [.. document.RootElement.GetProperty("intervals").EnumerateArray().Select(interval => interval.GetProperty("sum").GetProperty("bytes").GetInt64())],
        };
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
