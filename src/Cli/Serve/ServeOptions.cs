namespace Xfrmd.Cli.Serve;

/// <summary>What <c>xfrmd serve</c> was told.</summary>
public sealed record ServeOptions
{
    public const string DefaultSocket = "/run/xfrmd.sock";

    /// <summary>Names the control socket where --socket does not.</summary>
    public const string SocketVariable = "XFRMD_SOCKET";

    public required string Socket { get; init; }

    public bool Verbose { get; init; }

    /// <summary>Raw ESP goes through raw sockets always.</summary>
    public bool RawSockets { get; init; }

    /// <summary>How many seconds the SAs age in one.</summary>
    public int ClockRate { get; init; } = 1;

    /// <summary>--socket, else XFRMD_SOCKET, else the default.</summary>
    public static string ChooseSocket(string? option) =>
        option ?? (Environment.GetEnvironmentVariable(SocketVariable) is { Length: > 0 } named ? named : DefaultSocket);
}
