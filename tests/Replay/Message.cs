using System.Text.Json;

namespace Xfrmd.Replay;

/// <summary>One message that arrived, or did in the recording.</summary>
/// <param name="Socket">Where: <c>nl</c>, <c>nlx</c>, <c>mc</c>, <c>pk</c>, <c>pk2</c> …</param>
/// <param name="Bytes">The message.</param>
/// <param name="Volatile">Byte ranges that differ from run to run.</param>
public sealed record Message(string Socket, byte[] Bytes, IReadOnlyList<(int Offset, int Length)> Volatile)
{
    private const int NlMsgError = 2, EchoedPid = 32, ErrorWithHeader = 36;

    public static Message From(JsonElement recorded) => From(recorded, recorded.GetProperty("sock").GetString()!);

    public static Message From(JsonElement recorded, string socket) => new(
        socket,
        Convert.FromHexString(recorded.GetProperty("hex").GetString()!),
        recorded.TryGetProperty("vol", out JsonElement ranges)
            ? [.. ranges.EnumerateArray().Select(r => (r[0].GetInt32(), r[1].GetInt32()))]
            : []);

    /// <summary>Whether what arrived is what was recorded, apart from the volatile ranges.</summary>
    public bool IsLike(Message recorded)
    {
        if (recorded.Bytes.Length != Bytes.Length)
        {
            return false;
        }
        byte[] ours = [.. Bytes], theirs = [.. recorded.Bytes];
        List<(int Offset, int Length)> ranges = [.. recorded.Volatile];
        if (Socket.StartsWith("nl", StringComparison.Ordinal) && theirs.Length >= ErrorWithHeader && theirs[4] == NlMsgError)
        {
            // The port id in the echoed header of the request.
            ranges.Add((EchoedPid, 4));
        }
        foreach ((int offset, int length) in ranges)
        {
            if (offset + length <= ours.Length)
            {
                Array.Clear(ours, offset, length);
                Array.Clear(theirs, offset, length);
            }
        }
        return ours.AsSpan().SequenceEqual(theirs);
    }
}
