namespace Xfrmd.Crypto.Tests;

/// <summary>Bytes that are the same in every run, and easy to make elsewhere.</summary>
internal static class Generated
{
    /// <param name="seed">Of a 64-bit linear congruential generator (Knuth's MMIX constants), whose top byte is used.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="mask">Which of their bits.</param>
    /// <param name="period">If not zero, bytes repeat after so many, but for one in 256.</param>
    public static byte[] Bytes(ulong seed, int length, int mask = 255, int period = 0)
    {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++)
        {
            seed = (seed * 6364136223846793005) + 1442695040888963407;
            bytes[i] = period > 0 && i >= period && seed >> 56 != 0 ? bytes[i - period] : (byte)((int)(seed >> 56) & mask);
        }

        return bytes;
    }
}
