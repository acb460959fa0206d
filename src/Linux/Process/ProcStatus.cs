using System.Globalization;

namespace Xfrmd.Linux.Process;

/// <summary>What /proc/TID/status says that we need.</summary>
/// <param name="Tgid">The thread group in our pid namespace.</param>
/// <param name="InnerTgid">The same as the program itself sees it: the last number of NStgid.</param>
/// <param name="EffectiveUid">In our user namespace.</param>
/// <param name="FilesystemUid">In our user namespace.</param>
/// <param name="EffectiveCapabilities">CapEff.</param>
/// <param name="IgnoredSignals">SigIgn: bit n-1 for signal n.</param>
public readonly record struct ProcStatus(
    int Tgid, int InnerTgid, uint EffectiveUid, uint FilesystemUid, ulong EffectiveCapabilities, ulong IgnoredSignals)
{
    private const int Enough = 4096;

    /// <summary>Reads it; false where the thread is gone.</summary>
    public static bool TryRead(int tid, out ProcStatus status)
    {
        Span<byte> text = stackalloc byte[Enough];
        int length = ProcFile.Read(string.Create(CultureInfo.InvariantCulture, $"/proc/{tid}/status"), text);
        status = default;
        return length > 0 && TryParse(text[..length], out status);
    }

    public static bool TryParse(ReadOnlySpan<byte> text, out ProcStatus status)
    {
        int tgid = 0, inner = 0;
        uint euid = uint.MaxValue, fsuid = uint.MaxValue;
        ulong capabilities = 0, ignored = 0;
        foreach (Range range in text.Split((byte)'\n'))
        {
            ReadOnlySpan<byte> line = text[range];
            if (line.StartsWith("Tgid:"u8))
            {
                _ = int.TryParse(line[5..].Trim(" \t"u8), CultureInfo.InvariantCulture, out tgid);
            }
            else if (line.StartsWith("NStgid:"u8))
            {
                _ = int.TryParse(line[(line.LastIndexOf((byte)'\t') + 1)..], CultureInfo.InvariantCulture, out inner);
            }
            else if (line.StartsWith("Uid:"u8))
            {
                euid = Field(line, 2);
                fsuid = Field(line, 4);
            }
            else if (line.StartsWith("CapEff:"u8))
            {
                capabilities = Hex(line[7..]);
            }
            else if (line.StartsWith("SigIgn:"u8))
            {
                ignored = Hex(line[7..]);
            }
        }
        status = new ProcStatus(tgid, inner == 0 ? tgid : inner, euid, fsuid, capabilities, ignored);
        return tgid != 0;
    }

    private static uint Field(ReadOnlySpan<byte> line, int index)
    {
        int at = 0;
        foreach (Range range in line.Split((byte)'\t'))
        {
            if (at++ == index)
            {
                return uint.TryParse(line[range], CultureInfo.InvariantCulture, out uint value) ? value : uint.MaxValue;
            }
        }
        return uint.MaxValue;
    }

    private static ulong Hex(ReadOnlySpan<byte> text) =>
        ulong.TryParse(text.Trim(" \t"u8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong value) ? value : 0;
}
