using Xunit.Abstractions;

namespace Xfrmd.Interop.Harness;

/// <summary>A test with machines: where it fails, the logs of all that ran in them are shown.</summary>
public abstract class Scenario(ITestOutputHelper output)
{
    protected ITestOutputHelper Output { get; } = output;

    protected void Play(Lab lab, Action story)
    {
        try
        {
            story();
        }
        catch
        {
            Output.WriteLine(lab.Logs());
            throw;
        }
    }

    protected void Play(CharonPair pair, Action story)
    {
        // What a scenario that failed has left must not make the next one fail.
        pair.CloseAll();
        Play(pair.Net.Lab, () =>
        {
            story();
            pair.Reset();
        });
    }

    protected void Play(ManualPair pair, Action story)
    {
        pair.Flush();
        Play(pair.Net.Lab, story);
    }
}
